// Command follow-sessions tells of every run that begins, changes or ends, until Ctrl-C: follow-sessions [JOB_NAME]
package main

import (
	"context"
	"fmt"
	"log"
	"math/rand"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/sessions/client"
	pb "replicasession.gateway/enterprisemanager/v1"
)

const day = 24 * time.Hour

type follower struct {
	gateway pb.ReplicaSessionServiceClient
	request *pb.WatchSessionsRequest
	// Until when everything has been told.
	current time.Time
	// The gateway does not take the token.
	isRefused bool
	pause     time.Duration
}

func main() {
	log.SetFlags(0)
	rand.Seed(time.Now().UnixNano())
	conn, err := client.Connect()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	filter := &pb.ReplicaSessionFilter{}
	if len(os.Args) > 1 {
		filter.JobName = os.Args[1]
	}
	f := follower{
		gateway: pb.NewReplicaSessionServiceClient(conn),
		request: &pb.WatchSessionsRequest{Filter: filter},
		current: time.Now(),
	}
	log.Fatal(client.Explain(f.follow()))
}

// follow goes on where it was cut off, for ever, by the last token. A program that is to outlast itself stores that.
// Returns the error that does not pass.
func (f *follower) follow() error {
	f.pause = time.Second
	for {
		err := f.watch()
		if client.Reason(err) == "INVALID_RESUME_TOKEN" && f.request.ResumeToken != "" {
			fmt.Println("missed   the gateway does not take the token; beginning anew, after what has ended:")
			f.request.ResumeToken, f.isRefused = "", true
			continue
		}
		if client.IsLasting(err) {
			return err
		}
		log.Println("again   ", status.Code(err), status.Convert(err).Message())
		delay := client.RetryDelay(err)
		if delay < f.pause {
			delay = f.pause
		}
		time.Sleep(time.Duration(float64(delay) * (1 + rand.Float64())))
		if f.pause *= 2; f.pause > 30*time.Second {
			f.pause = 30 * time.Second
		}
	}
}

// watch is one watch, until its error.
func (f *follower) watch() error {
	if f.isRefused { // Enterprise Manager may have learned of an end hours late
		if err := f.listEnded(f.current.Add(-day), time.Now()); err != nil {
			return err
		}
		f.isRefused = false
	}
	ctx, cancel := context.WithCancel(context.Background()) // without a deadline: this has no end
	defer cancel()
	stream, err := f.gateway.WatchSessions(ctx, f.request)
	if err != nil {
		return err
	}
	// Ends the watch when it has been silent for so long that two heartbeats are missing.
	patience := 65 * time.Second // until the first event
	for {
		timer := time.AfterFunc(patience, cancel)
		event, err := stream.Recv()
		timer.Stop()
		if ctx.Err() != nil {
			return fmt.Errorf("nothing heard for %s", patience)
		}
		if err != nil {
			return err
		}
		if event.HeartbeatInterval != nil { // in the first event
			// The margin is for the second heartbeat, which is due just then.
			patience = 2*event.HeartbeatInterval.AsDuration() + 5*time.Second
		}
		if err := f.tell(event); err != nil {
			return err
		}
		// Only once the event has been dealt with: until then, it would come again.
		if event.ResumeToken != "" {
			f.request.ResumeToken = event.ResumeToken
		}
		f.pause = time.Second
	}
}

func (f *follower) tell(event *pb.WatchSessionsResponse) error {
	switch event := event.Event.(type) {
	case *pb.WatchSessionsResponse_Change:
		// A session that was over when it was first seen has appeared and ended.
		kind := event.Change.Kinds[len(event.Change.Kinds)-1].String()
		printSession(strings.ToLower(strings.TrimPrefix(kind, "KIND_")), event.Change.ReplicaSession)
	case *pb.WatchSessionsResponse_Current:
		f.current = event.Current.ReadTime.AsTime()
		fmt.Println("current ", f.current.Format(time.RFC3339Nano))
	case *pb.WatchSessionsResponse_Outage:
		fmt.Println("outage  ", event.Outage.Reason)
	case *pb.WatchSessionsResponse_Missed:
		before := event.Missed.EndTime.EndTime.AsTime()
		since := before.Add(-day)
		if start := event.Missed.EndTime.StartTime; start != nil {
			since = start.AsTime()
		}
		fmt.Println("missed   the gateway does not know which of these have been told:")
		return f.listEnded(since, before)
	default: // a heartbeat, or an event that this program does not know yet
	}
	return nil
}

// listEnded prints the sessions that ended in this time, some of which may have been told.
func (f *follower) listEnded(since, before time.Time) error {
	filter := proto.Clone(f.request.Filter).(*pb.ReplicaSessionFilter)
	filter.EndTime = &pb.TimeRange{StartTime: timestamppb.New(since), EndTime: timestamppb.New(before)}
	request := &pb.ListReplicaSessionsRequest{PageSize: 1000, Filter: filter}
	for {
		ctx, cancel := client.Deadline()
		page, err := f.gateway.List(ctx, request)
		cancel()
		if err != nil {
			return err
		}
		for _, session := range page.ReplicaSessions {
			printSession("listed", session)
		}
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			return nil
		}
	}
}

func printSession(what string, session *pb.ReplicaSession) {
	how := fmt.Sprintf("%s %d %%", session.State, session.GetProgressPercent())
	if session.State == pb.ReplicaSession_STATE_STOPPED {
		how = session.Result.String()
	}
	fmt.Printf("%-8s %s %s %s\n", what, session.Id, how, session.Name)
}
