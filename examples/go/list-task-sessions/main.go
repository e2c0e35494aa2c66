// Command list-task-sessions tells how a virtual machine was replicated in the last week, by all jobs:
// list-task-sessions VM_NAME [PAGE_SIZE]
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
	const usage = "list-task-sessions VM_NAME [PAGE_SIZE]"
	arguments := client.Arguments(usage, 1, 2)
	pageSize := client.PageSize(usage, arguments)
	conn, err := client.Connect()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	newest, err := list(pb.NewReplicaSessionServiceClient(conn), arguments[0], pageSize)
	if err != nil {
		log.Fatalf("%s\nadvice   %s", client.Explain(err), client.Advice(err))
	}
	// How the machine stands: a later task may have mended what an earlier one could not do.
	if newest == nil {
		fmt.Println("newest   nothing is over")
	} else {
		fmt.Println("newest  ", told(newest))
	}
}

// list prints the tasks of all pages, the newest first. Returns the newest one that is over; nil if none is.
func list(gateway pb.ReplicaSessionServiceClient, vmName string, pageSize int32) (*pb.ReplicaTaskSession, error) {
	var newest *pb.ReplicaTaskSession
	request := &pb.ListTaskSessionsRequest{PageSize: pageSize, Filter: &pb.ReplicaTaskSessionFilter{
		VmNames:    []string{vmName},
		CreateTime: &pb.TimeRange{StartTime: timestamppb.New(time.Now().AddDate(0, 0, -7))},
	}}
	for {
		ctx, cancel := client.Deadline()
		page, err := gateway.ListTaskSessions(ctx, request)
		cancel()
		if err != nil {
			return nil, err
		}
		fmt.Println("page    ", len(page.ReplicaTaskSessions))
		names, err := jobNames(gateway, page.ReplicaTaskSessions)
		if err != nil {
			return nil, err
		}
		for _, task := range page.ReplicaTaskSessions {
			name, ok := names[task.SessionUid]
			if !ok {
				name = "unknown job"
			}
			fmt.Println("task    ", told(task), name)
			if reason := task.GetReason(); reason != "" {
				fmt.Println("trouble ", reason)
			}
			if newest == nil && task.State == pb.ReplicaTaskSession_STATE_COMPLETED {
				newest = task
			}
		}
		// The token is valid only for this request: no other field may change.
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			return newest, nil
		}
	}
}

// jobNames are the names of the jobs by session. A task names only its session, so one more call reads all of these.
func jobNames(gateway pb.ReplicaSessionServiceClient, tasks []*pb.ReplicaTaskSession) (map[string]string, error) {
	names := map[string]string{}
	if len(tasks) == 0 {
		return names, nil
	}
	filter := &pb.ReplicaSessionFilter{}
	for _, task := range tasks {
		filter.SessionIds = append(filter.SessionIds, task.SessionUid)
	}
	ctx, cancel := client.Deadline()
	defer cancel()
	answer, err := gateway.List(ctx, &pb.ListReplicaSessionsRequest{Filter: filter})
	if err != nil {
		return nil, err
	}
	for _, session := range answer.ReplicaSessions {
		names[session.Uid] = session.JobName
	}
	return names, nil
}

func told(task *pb.ReplicaTaskSession) string {
	// RESULT_NONE until it is over.
	return fmt.Sprint(task.CreateTime.AsTime().Format(time.RFC3339Nano), " ", task.Result)
}
