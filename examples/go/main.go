// Command get-session gets one replica job session: get-session ID [reference]
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/health" // health checking, as the service config asks for
	"google.golang.org/grpc/status"

	pb "example.com/get-session/enterprisemanagerv1"
)

//go:embed service-config.json
var serviceConfig string

func main() {
	log.SetFlags(0)
	conn, err := connect(setting("GATEWAY_ADDRESS", "127.0.0.1:50051"))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	deadline, err := time.ParseDuration(setting("DEADLINE_SECONDS", "5") + "s")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()

	request := &pb.GetReplicaSessionRequest{Id: os.Args[1], View: pb.ReplicaSessionView_REPLICA_SESSION_VIEW_ENTITY}
	if len(os.Args) > 2 && os.Args[2] == "reference" {
		request.View = pb.ReplicaSessionView_REPLICA_SESSION_VIEW_REFERENCE
	}
	answer, err := pb.NewReplicaSessionServiceClient(conn).Get(ctx, request)
	if err != nil {
		log.Fatal(explain(err))
	}
	session := answer.GetReplicaSession()
	fmt.Printf("type     %s\nname     %s\nstate    %s\nresult   %s\n",
		session.Type, session.Name, session.State, session.Result)
}

// connect makes the one connection of a process, for all goroutines, with retries as configured.
func connect(address string) (*grpc.ClientConn, error) {
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
	return grpc.Dial(address, security, grpc.WithDefaultServiceConfig(serviceConfig))
}

// errors: begin
func explain(err error) string {
	status := status.Convert(err)
	lines := []string{"code     " + status.Code().String()}
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
