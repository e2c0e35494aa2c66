//! The cost of translating one response: parsing EM's XML, converting to the message, encoding it.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_executor::block_on;
use prost::Message as _;
use replica_session_gateway::{
    enterprise_manager::{Reading, SessionId, View, parse_replica_session, parse_session_page},
    gateway::response,
};

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENTITY: &[u8] =
    include_bytes!("../tests/fixtures/enterprise-manager/session-entity-published.xml");
const REFERENCE: &[u8] =
    include_bytes!("../tests/fixtures/enterprise-manager/session-reference-published.xml");
const ID: &str = "0bcf5a1e-866c-4b40-8bc3-ce64753b9a6b";

fn reading(criterion: &mut Criterion) {
    let id: SessionId = ID.parse().expect("an id");
    let mut group = criterion.benchmark_group("read");
    for (name, document, view) in
        [("entity", ENTITY, View::Entity), ("reference", REFERENCE, View::Reference)]
    {
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| parse_replica_session(black_box(document), id, view));
        });
    }
}

fn conversion(criterion: &mut Criterion) {
    let id: SessionId = ID.parse().expect("an id");
    let session = parse_replica_session(ENTITY, id, View::Entity).expect("the sample is readable");
    let read_at = jiff::Timestamp::now();
    let reading = Reading { session, read_at };
    criterion.bench_function("convert", |bencher| {
        bencher.iter_batched(|| reading.clone(), response, BatchSize::SmallInput);
    });
    let message = response(reading);
    criterion.bench_function("encode", |bencher| {
        bencher.iter(|| black_box(&message).encode_to_vec());
    });
}

/// A page of the query service with a thousand sessions.
fn page(criterion: &mut Criterion) {
    let row = std::str::from_utf8(ENTITY).expect("the sample is UTF-8");
    let start = row.find("<ReplicaJobSession").expect("a root");
    let rows = row[start..].repeat(1000);
    let page = format!(
        "<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\"><Entities><ReplicaJobSessions>{rows}\
         </ReplicaJobSessions></Entities><PagingInfo PagesCount=\"1\"/></QueryResult>"
    );
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("page of 1000", |bencher| {
        bencher.iter(|| {
            let page = black_box(&page).as_bytes();
            block_on(parse_session_page(page, View::Entity, 1000))
        });
    });
}

criterion_group!(benches, reading, page, conversion);
criterion_main!(benches);
