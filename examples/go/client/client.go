// Package client is shared by the programs here: the connection to the gateway, and the explanation of its
// errors.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

//go:embed service-config.json
var serviceConfig string

// Connect makes the one connection of a process, for all goroutines, with retries as configured.
func Connect() (*grpc.ClientConn, error) {
	security := grpc.WithInsecure()
	if ca := os.Getenv("TLS_CA_FILE"); ca != "" {
		roots := x509.NewCertPool()
		pem, err := os.ReadFile(ca)
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificates: %v", ca, err)
		}
		own, err := tls.LoadX509KeyPair(os.Getenv("TLS_CERT_FILE"), os.Getenv("TLS_KEY_FILE"))
		if err != nil {
			return nil, err
		}
		config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}}
		security = grpc.WithTransportCredentials(credentials.NewTLS(config))
	}
	address := setting("GATEWAY_ADDRESS", "127.0.0.1:50051")
	return grpc.Dial(address, security, grpc.WithDefaultServiceConfig(serviceConfig))
}

// Deadline is the time for one call.
func Deadline() (context.Context, context.CancelFunc) {
	seconds, err := time.ParseDuration(setting("DEADLINE_SECONDS", "5") + "s")
	if err != nil {
		seconds = 5 * time.Second
	}
	return context.WithTimeout(context.Background(), seconds)
}

// errors: begin
func Explain(err error) string {
	status := status.Convert(err)
	lines := []string{"code     " + status.Code().String(), "message  " + status.Message()}
	for _, detail := range status.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			lines = append(lines, "reason   "+detail.Reason)
		case *errdetails.RetryInfo:
			lines = append(lines, fmt.Sprintf("retry    after %g s", detail.RetryDelay.AsDuration().Seconds()))
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				lines = append(lines, "field    "+violation.Field+" "+violation.Description)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// errors: end

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
