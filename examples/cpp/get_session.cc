// Gets one replica job session: get-session ID [reference]

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>

#include "enterprisemanager/v1/replica_session_service.grpc.pb.h"
#include "google/rpc/code.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace pb = enterprisemanager::v1;

std::string setting(const char* name, std::string otherwise = "") {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  if (!path.empty() && !file) throw std::runtime_error(path + " cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

// One channel serves a whole process, from all threads. It retries as the service config says.
std::shared_ptr<grpc::Channel> connect() {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (std::string ca = setting("TLS_CA_FILE"); !ca.empty()) {
    credentials = grpc::SslCredentials({read(ca), read(setting("TLS_KEY_FILE")), read(setting("TLS_CERT_FILE"))});
  }
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(read(setting("SERVICE_CONFIG", "../service-config.json")));
  return grpc::CreateCustomChannel(setting("GATEWAY_ADDRESS", "127.0.0.1:50051"), credentials, arguments);
}

// errors: begin
void explain(const grpc::Status& error) {
  std::cerr << "code     " << google::rpc::Code_Name(google::rpc::Code(error.error_code())) << "\n";
  std::cerr << "message  " << error.error_message() << "\n";
  google::rpc::Status status;
  status.ParseFromString(error.error_details());  // empty: the gateway did not create the error
  for (const auto& detail : status.details()) {
    if (google::rpc::ErrorInfo info; detail.UnpackTo(&info)) {
      std::cerr << "reason   " << info.reason() << "\n";
    } else if (google::rpc::RetryInfo retry; detail.UnpackTo(&retry)) {
      std::cerr << "retry    after " << retry.retry_delay().seconds() << " s\n";
    } else if (google::rpc::BadRequest bad; detail.UnpackTo(&bad)) {
      for (const auto& violation : bad.field_violations())
        std::cerr << "field    " << violation.field() << " " << violation.description() << "\n";
    }
  }
}
// errors: end

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3 || (argc == 3 && std::string(argv[2]) != "reference")) {
    std::cerr << "usage: get-session ID [reference]\n";
    return 2;
  }
  pb::GetReplicaSessionRequest request;
  request.set_id(argv[1]);
  request.set_view(argc > 2 ? pb::REPLICA_SESSION_VIEW_REFERENCE : pb::REPLICA_SESSION_VIEW_ENTITY);

  auto gateway = pb::ReplicaSessionService::NewStub(connect());
  grpc::ClientContext context;
  std::chrono::duration<double> patience(std::stod(setting("DEADLINE_SECONDS", "5")));
  auto now = std::chrono::system_clock::now();
  context.set_deadline(now + std::chrono::duration_cast<std::chrono::milliseconds>(patience));
  pb::GetReplicaSessionResponse answer;
  if (grpc::Status status = gateway->Get(&context, request, &answer); !status.ok()) {
    explain(status);
    return 1;
  }
  const auto& session = answer.replica_session();
  std::cout << "type     " << session.type() << "\n"
            << "name     " << session.name() << "\n"
            << "state    " << pb::ReplicaSession::State_Name(session.state()) << "\n"
            << "result   " << pb::ReplicaSession::Result_Name(session.result()) << "\n";
}
