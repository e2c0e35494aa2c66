#!/usr/bin/env ruby
# frozen_string_literal: true

# Gets one replica job session: ruby get_session.rb ID [reference]

$LOAD_PATH.unshift(File.join(__dir__, 'generated'))

require 'grpc'
require 'google/protobuf/well_known_types'
require 'google/rpc/error_details_pb'
require 'enterprisemanager/v1/replica_session_service_services_pb'

Api = EnterpriseManager::V1

# One stub serves a whole process, from all threads.
def connect
  ca = ENV.fetch('TLS_CA_FILE', nil)
  credentials = if ca
                  files = [ca, ENV.fetch('TLS_KEY_FILE', nil), ENV.fetch('TLS_CERT_FILE', nil)]
                  GRPC::Core::ChannelCredentials.new(*files.map { |file| file && File.read(file) })
                else
                  :this_channel_is_insecure
                end
  Api::ReplicaSessionService::Stub.new(ENV.fetch('GATEWAY_ADDRESS', '127.0.0.1:50051'), credentials)
end

# errors: begin
def explain(error)
  lines = ["code     #{error.class.name.split('::').last.gsub(/(?<=[a-z])(?=[A-Z])/, '_').upcase}", "message  #{error.details}"]
  status = GRPC::GoogleRpcStatusUtils.extract_google_rpc_status(error.to_status)
  (status&.details || []).each do |detail|
    if detail.is(Google::Rpc::ErrorInfo)
      lines << "reason   #{detail.unpack(Google::Rpc::ErrorInfo).reason}"
    elsif detail.is(Google::Rpc::RetryInfo)
      lines << format('retry    after %g s', detail.unpack(Google::Rpc::RetryInfo).retry_delay.to_f)
    elsif detail.is(Google::Rpc::BadRequest)
      violations = detail.unpack(Google::Rpc::BadRequest).field_violations
      lines.concat(violations.map { |violation| "field    #{violation.field} #{violation.description}" })
    end
  end
  lines.join("\n")
end
# errors: end

id, view, *more = ARGV
abort 'usage: ruby get_session.rb ID [reference]' if id.nil? || ![nil, 'reference'].include?(view) || more.any?

view = view ? :REPLICA_SESSION_VIEW_REFERENCE : :REPLICA_SESSION_VIEW_ENTITY
deadline = Time.now + ENV.fetch('DEADLINE_SECONDS', '5').to_f
begin
  answer = connect.get(Api::GetReplicaSessionRequest.new(id: id, view: view), deadline: deadline)
rescue GRPC::BadStatus => e
  abort explain(e)
end

session = answer.replica_session
puts "type     #{session.type}"
puts "name     #{session.name}"
puts "state    #{session.state}"
puts "result   #{session.result}"
