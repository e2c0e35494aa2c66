// Command get-session gets one replica job session: get-session ID [reference]
package main

import (
	"fmt"
	"log"

	"example.com/sessions/client"
	pb "replicasession.gateway/enterprisemanager/v1"
)

func main() {
	log.SetFlags(0)
	const usage = "get-session ID [reference]"
	arguments := client.Arguments(usage, 1, 2)
	conn, err := client.Connect()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := client.Deadline()
	defer cancel()

	request := &pb.GetReplicaSessionRequest{Id: arguments[0], View: pb.ReplicaSessionView_REPLICA_SESSION_VIEW_ENTITY}
	if len(arguments) > 1 {
		if arguments[1] != "reference" {
			client.Fail(usage)
		}
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
