//! `descriptor`: the contract for tools that cannot ask the gateway for it.

use prost_reflect::DescriptorPool;

use super::program;

#[tokio::test]
async fn the_descriptor_set_describes_every_method() {
    let output = program(&["descriptor"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    let pool = DescriptorPool::decode(output.stdout.as_slice()).unwrap();
    let service = pool.get_service_by_name("enterprisemanager.v1.ReplicaSessionService").unwrap();
    let methods: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
    assert!(methods.starts_with(&["Get".to_owned()]), "{methods:?}");
    assert!(methods.contains(&"Watch".to_owned()), "{methods:?}");
}

#[tokio::test]
async fn a_full_disk_is_reported() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let child = program(&["descriptor"]).stdout(full).spawn().unwrap();
    let output = child.wait_with_output().await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(73), "{error}");
    assert!(error.starts_with("error: standard output: "), "{error}");
}
