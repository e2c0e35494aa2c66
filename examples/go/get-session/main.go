// Command get-session gets one replica job session: get-session ID [reference]
package main

import (
	"fmt"
	"log"
	"os"

	"example.com/sessions/client"
	pb "replicasession.gateway/enterprisemanager/v1"
)

func main() {
	log.SetFlags(0)
	conn, err := client.Connect()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := client.Deadline()
	defer cancel()

	request := &pb.GetReplicaSessionRequest{Id: os.Args[1], View: pb.ReplicaSessionView_REPLICA_SESSION_VIEW_ENTITY}
	if len(os.Args) > 2 && os.Args[2] == "reference" {
		request.View = pb.ReplicaSessionView_REPLICA_SESSION_VIEW_REFERENCE
	}
	answer, err := pb.NewReplicaSessionServiceClient(conn).Get(ctx, request)
	if err != nil {
		log.Fatal(client.Explain(err))
	}
	session := answer.GetReplicaSession()
	fmt.Printf("type     %s\nname     %s\nstate    %s\nresult   %s\n",
		session.Type, session.Name, session.State, session.Result)
}
