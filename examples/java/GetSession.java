import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.Durations;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import gateway.replicasession.enterprisemanager.v1.GetReplicaSessionRequest;
import gateway.replicasession.enterprisemanager.v1.ReplicaSession;
import gateway.replicasession.enterprisemanager.v1.ReplicaSessionServiceGrpc;
import gateway.replicasession.enterprisemanager.v1.ReplicaSessionView;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import java.io.File;
import java.io.IOException;
import java.util.concurrent.TimeUnit;

/** Gets one replica job session: GetSession ID [reference]. */
public final class GetSession {
  public static void main(String[] args) throws Exception {
    if (args.length < 1 || args.length > 2 || (args.length == 2 && !args[1].equals("reference"))) {
      System.err.println("usage: get-session ID [reference]");
      System.exit(2);
    }
    GetReplicaSessionRequest request =
        GetReplicaSessionRequest.newBuilder()
            .setId(args[0])
            .setView(
                args.length > 1
                    ? ReplicaSessionView.REPLICA_SESSION_VIEW_REFERENCE
                    : ReplicaSessionView.REPLICA_SESSION_VIEW_ENTITY)
            .build();
    long deadline = (long) (1000 * Double.parseDouble(setting("DEADLINE_SECONDS", "5")));

    // One channel serves a whole process, from all threads.
    ManagedChannel channel =
        Grpc.newChannelBuilder(setting("GATEWAY_ADDRESS", "127.0.0.1:50051"), credentials()).build();
    try {
      ReplicaSession session =
          ReplicaSessionServiceGrpc.newBlockingStub(channel)
              .withDeadlineAfter(deadline, TimeUnit.MILLISECONDS)
              .get(request)
              .getReplicaSession();
      System.out.println("type     " + session.getType());
      System.out.println("name     " + session.getName());
      System.out.println("state    " + session.getState());
      System.out.println("result   " + session.getResult());
    } catch (StatusRuntimeException error) {
      System.err.print(explain(error));
      System.exit(1);
    } finally {
      channel.shutdownNow();
    }
  }

  private static ChannelCredentials credentials() throws IOException {
    String ca = System.getenv("TLS_CA_FILE");
    if (ca == null) {
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder().trustManager(new File(ca));
    String certificate = System.getenv("TLS_CERT_FILE");
    if (certificate != null) {
      tls.keyManager(new File(certificate), new File(System.getenv("TLS_KEY_FILE")));
    }
    return tls.build();
  }

  // errors: begin
  private static String explain(StatusRuntimeException error) throws InvalidProtocolBufferException {
    StringBuilder lines = new StringBuilder("code     " + error.getStatus().getCode() + "\n");
    lines.append("message  " + error.getStatus().getDescription() + "\n");
    for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        lines.append("reason   " + detail.unpack(ErrorInfo.class).getReason() + "\n");
      } else if (detail.is(RetryInfo.class)) {
        double delay = Durations.toMillis(detail.unpack(RetryInfo.class).getRetryDelay()) / 1000.0;
        lines.append("retry    after " + delay + " s\n");
      } else if (detail.is(BadRequest.class)) {
        for (BadRequest.FieldViolation violation : detail.unpack(BadRequest.class).getFieldViolationsList()) {
          lines.append("field    " + violation.getField() + " " + violation.getDescription() + "\n");
        }
      }
    }
    return lines.toString();
  }
  // errors: end

  private static String setting(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }
}
