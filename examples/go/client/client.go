// Package client is shared by the programs here: the connection to the gateway, and what to make of its
// errors.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

//go:embed service-config.json
var serviceConfig string

// Arguments is what was typed after the program's name. It ends the program with its usage if that is too little or too
// much.
func Arguments(usage string, least, most int) []string {
	arguments := os.Args[1:]
	if len(arguments) < least || len(arguments) > most {
		Fail(usage)
	}
	return arguments
}

// Fail ends the program with its usage.
func Fail(usage string) {
	fmt.Fprintln(os.Stderr, "usage: "+usage)
	os.Exit(2)
}

// PageSize is the second argument of a program that lists.
func PageSize(usage string, arguments []string) int32 {
	if len(arguments) < 2 {
		return 50
	}
	size, err := strconv.ParseInt(arguments[1], 10, 32)
	if err != nil {
		Fail(usage)
	}
	return int32(size)
}

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
	// Asks whether the connection is alive if nothing has come back for 30 s, and waits 10 s for the answer.
	alive := grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second})
	return grpc.Dial(address, security, alive, grpc.WithDefaultServiceConfig(serviceConfig))
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

// reasons: begin
// Reason is the gateway's machine-readable one; empty if a proxy or the library created the error.
func Reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Domain == "replicasession.gateway" {
			return info.Reason
		}
	}
	return ""
}

// Advice is what to do about an error.
func Advice(err error) string {
	switch Reason(err) {
	case "INVALID_FILTER", "INVALID_ID":
		return "correct your input"
	case "EM_ACCESS_DENIED", "EM_CREDENTIALS_REJECTED", "EM_UNTRUSTED_CERTIFICATE":
		return "ask the gateway's operator to correct its setup"
	}
	switch status.Code(err) { // also for reasons that this program does not know yet
	case codes.Unavailable, codes.ResourceExhausted:
		if Reason(err) == "" {
			return "check the gateway's address, and whether it runs"
		}
		return "try again later"
	case codes.DeadlineExceeded:
		return "try again later, with a longer deadline, if this is the gateway's address: Enterprise Manager is slow or busy"
	}
	return "report it to the gateway's operator"
}

// reasons: end

// IsLasting tells whether the gateway itself says why another watch would not help. Without a reason of the gateway,
// the connection or a proxy has failed, and what stands between decides which code that has.
func IsLasting(err error) bool {
	code := status.Code(err)
	return Reason(err) != "" && code != codes.Unavailable && code != codes.ResourceExhausted
}

// RetryDelay is after how long another attempt may succeed; 0 if the gateway does not say so.
func RetryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return retry.RetryDelay.AsDuration()
		}
	}
	return 0
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
