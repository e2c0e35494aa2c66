// Command list-sessions lists the failed runs of a job in the last week, with reasons: list-sessions JOB_NAME [PAGE_SIZE]
package main

import (
	"fmt"
	"log"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/sessions/client"
	pb "replicasession.gateway/enterprisemanager/v1"
)

func main() {
	log.SetFlags(0)
	const usage = "list-sessions JOB_NAME [PAGE_SIZE]"
	arguments := client.Arguments(usage, 1, 2)
	pageSize := client.PageSize(usage, arguments)
	conn, err := client.Connect()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := list(pb.NewReplicaSessionServiceClient(conn), arguments[0], pageSize); err != nil {
		log.Fatalf("%s\nadvice   %s", client.Explain(err), client.Advice(err))
	}
}

// list prints the sessions of all pages, the latest first.
func list(gateway pb.ReplicaSessionServiceClient, jobName string, pageSize int32) error {
	request := &pb.ListReplicaSessionsRequest{PageSize: pageSize, Filter: &pb.ReplicaSessionFilter{
		JobName:    jobName,
		Results:    []pb.ReplicaSession_Result{pb.ReplicaSession_RESULT_FAILED},
		CreateTime: &pb.TimeRange{StartTime: timestamppb.New(time.Now().AddDate(0, 0, -7))},
	}}
	for {
		ctx, cancel := client.Deadline()
		page, err := gateway.List(ctx, request)
		cancel()
		if err != nil {
			return err
		}
		fmt.Println("page    ", len(page.ReplicaSessions))
		for _, session := range page.ReplicaSessions {
			fmt.Println("failed  ", session.Id, session.Name)
			if err := tellTasks(gateway, session.Id); err != nil {
				return err
			}
		}
		// The token is valid only for this request: no other field may change.
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			return nil
		}
	}
}

func tellTasks(gateway pb.ReplicaSessionServiceClient, id string) error {
	ctx, cancel := client.Deadline()
	defer cancel()
	// All tasks, one for each virtual machine. Beyond 1,000 tasks, there is a next page here too.
	tasks, err := gateway.ListTasks(ctx, &pb.ListReplicaTaskSessionsRequest{SessionId: id})
	if err != nil {
		return err
	}
	for _, task := range tasks.ReplicaTaskSessions {
		fmt.Println("task    ", task.VmName, task.Result)
	}
	// With the id of a session, one call returns both the session and why it failed.
	answer, err := gateway.Get(ctx, &pb.GetReplicaSessionRequest{Id: id, IncludeFailedTasks: true})
	if err != nil {
		return err
	}
	for _, task := range answer.FailedTasks {
		fmt.Println("trouble ", task.VmName, task.GetReason())
	}
	return nil
}
