//! The cost of a call that is served from the cache, measured at the client over a socket.

use std::{hint::black_box, net::SocketAddr};

use criterion::{Criterion, criterion_group, criterion_main};
use replica_session_gateway::{
    proto::v1::{
        GetReplicaSessionRequest, replica_session_service_client::ReplicaSessionServiceClient,
    },
    serve,
    settings::{EnterpriseManagerSettings, PasswordSource, Settings},
};
use simulator::{Options, Simulator};
use tokio::runtime::Builder;
use tonic::transport::Channel;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A finished session of the simulator.
const FINISHED: &str = "04f694ad-664c-4603-a747-00edecae4f17";

fn hit(criterion: &mut Criterion) {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("threads");
    let (simulator, gateway, client) = runtime.block_on(async {
        let simulator = Simulator::start(Options::default()).await;
        let simulator = simulator.expect("a port");
        let url = simulator.url().parse().expect("an address");
        let password = PasswordSource::Value("simulated".into());
        let upstream = EnterpriseManagerSettings::new(url, "gateway".to_owned(), password);
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = Settings { listen: free, admin_listen: free, ..Settings::new(upstream) };
        let gateway = serve::start(settings).await;
        let gateway = gateway.unwrap_or_else(|error| panic!("the gateway does not start: {error}"));
        let address = format!("http://{}", gateway.address());
        let channel = Channel::from_shared(address).expect("an address");
        let channel = channel.connect().await.expect("a gateway");
        (simulator, gateway, ReplicaSessionServiceClient::new(channel))
    });
    criterion.bench_function("hit", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let request = GetReplicaSessionRequest {
                    id: FINISHED.to_owned(),
                    ..GetReplicaSessionRequest::default()
                };
                let response = client.clone().get(request).await;
                black_box(response.expect("an answer"))
            })
        });
    });
    let _guard = runtime.enter();
    drop((simulator, gateway));
}

criterion_group!(benches, hit);
criterion_main!(benches);
