// Command follow-sessions tells of every run that begins, changes or ends, until Ctrl-C: follow-sessions [JOB_NAME]
package main

import (
	"context"
	"fmt"
	"log"
	"math/rand"
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
	// Since when ends are missing, if the gateway has refused the token; zero otherwise.
	missedSince time.Time
	// When each end was told, by the session's id.
	told  map[string]time.Time
	pause time.Duration
}

func main() {
	log.SetFlags(0)
	arguments := client.Arguments("follow-sessions [JOB_NAME]", 0, 1)
	rand.Seed(time.Now().UnixNano())
	conn, err := client.Connect()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	filter := &pb.ReplicaSessionFilter{}
	if len(arguments) > 0 {
		filter.JobName = arguments[0]
	}
	f := follower{
		gateway: pb.NewReplicaSessionServiceClient(conn),
		request: &pb.WatchSessionsRequest{Filter: filter},
		current: time.Now(),
		told:    map[string]time.Time{},
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
			fmt.Println("missed   the gateway does not take the token; beginning anew, then listing ends")
			f.request.ResumeToken = ""
			if f.missedSince.IsZero() { // Enterprise Manager may have learned of an end hours late
				f.missedSince = f.current.Add(-day)
			}
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
		kind := event.Change.Kinds[len(event.Change.Kinds)-1]
		if kind != pb.ReplicaSessionChange_KIND_ENDED || f.isNews(event.Change.ReplicaSession) {
			word := strings.ToLower(strings.TrimPrefix(kind.String(), "KIND_"))
			printSession(word, event.Change.ReplicaSession)
		}
		f.forget()
	case *pb.WatchSessionsResponse_Current:
		f.current = event.Current.ReadTime.AsTime()
		fmt.Println("current ", f.current.Format(time.RFC3339Nano))
		if !f.missedSince.IsZero() {
			// Not earlier: only what ends from here on is told by a watch that has begun anew.
			if err := f.listEnded(&pb.TimeRange{StartTime: timestamppb.New(f.missedSince)}); err != nil {
				return err
			}
			f.missedSince = time.Time{}
		}
	case *pb.WatchSessionsResponse_Outage:
		fmt.Println("outage  ", event.Outage.Reason)
	case *pb.WatchSessionsResponse_Missed:
		ended := event.Missed.EndTime
		if ended.StartTime == nil {
			ended.StartTime = timestamppb.New(ended.EndTime.AsTime().Add(-day))
		}
		fmt.Println("missed   the gateway does not know which ends have been told; listing them")
		return f.listEnded(ended)
	default: // a heartbeat, or an event that this program does not know yet
	}
	return nil
}

// listEnded tells the sessions that ended in this time, except those that have been told.
func (f *follower) listEnded(ended *pb.TimeRange) error {
	filter := proto.Clone(f.request.Filter).(*pb.ReplicaSessionFilter)
	filter.EndTime = ended
	request := &pb.ListReplicaSessionsRequest{PageSize: 1000, Filter: filter}
	for {
		ctx, cancel := client.Deadline()
		page, err := f.gateway.List(ctx, request)
		cancel()
		if err != nil {
			return err
		}
		for _, session := range page.ReplicaSessions {
			if f.isNews(session) {
				printSession("listed", session)
			}
		}
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			return nil
		}
	}
}

// isNews is whether this end has not been told; from now on it has.
func (f *follower) isNews(session *pb.ReplicaSession) bool {
	_, isTold := f.told[session.Id]
	f.told[session.Id] = time.Now()
	return !isTold
}

// forget forgets the ends that were told longer ago than any list here goes back.
func (f *follower) forget() {
	for id, at := range f.told {
		if time.Since(at) > 2*day {
			delete(f.told, id)
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
