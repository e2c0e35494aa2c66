//! Which fields of two answers about one session differ, by EM's names.

use super::model::{EntityFields, ReplicaSession};

/// The names of the fields that differ. Elements that the contract has no field for count as one, since
/// their names may be anything.
pub(crate) fn differences(a: &ReplicaSession, b: &ReplicaSession) -> Vec<&'static str> {
    let ReplicaSession { id, uid, name, r#type, href, links, entity, unmapped } = a;
    let mut fields = vec![
        ("UID", *id == b.id && *uid == b.uid),
        ("Name", *name == b.name),
        ("Type", *r#type == b.r#type),
        ("Href", *href == b.href),
        ("Links", *links == b.links),
        ("an element without a field", *unmapped == b.unmapped),
    ];
    let (a, b) = (entity.clone().unwrap_or_default(), b.entity.clone().unwrap_or_default());
    // With all fields, so that the compiler asks for a new one.
    let EntityFields {
        job_uid,
        job_name,
        job_type,
        created_at,
        ended_at,
        state,
        result,
        progress_percent,
        is_retry,
        failure_message,
    } = a;
    fields.extend([
        ("JobUid", job_uid == b.job_uid),
        ("JobName", job_name == b.job_name),
        ("JobType", job_type == b.job_type),
        ("CreationTimeUTC", created_at == b.created_at),
        ("EndTimeUTC", ended_at == b.ended_at),
        ("State", state == b.state),
        ("Result", result == b.result),
        ("Progress", progress_percent == b.progress_percent),
        ("IsRetry", is_retry == b.is_retry),
        ("FailureMessage", failure_message == b.failure_message),
    ]);
    fields.into_iter().filter(|(_, is_equal)| !is_equal).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enterprise_manager::{View, parse_replica_session};

    #[test]
    fn every_field_that_differs_is_named() {
        let id = "04f694ad-664c-4603-a747-00edecae4f17".parse().unwrap();
        let document = |fields: &str, name: &str| {
            format!(
                r#"<ReplicaJobSession xmlns="http://www.veeam.com/ent/v1.0" Type="ReplicaJobSession" Href="h{name}"
                Name="{name}" UID="urn:veeam:ReplicaJobSession:{id}">{fields}</ReplicaJobSession>"#
            )
        };
        let parse =
            |text: String| parse_replica_session(text.as_bytes(), id, View::Entity).unwrap();
        let a = parse(document("<State>Working</State><Progress>1</Progress><New>a</New>", "a"));
        assert_eq!(differences(&a, &a), Vec::<&str>::new());
        let all = "<Links><Link Rel=\"Up\"/></Links><JobUid>j</JobUid><JobName>j</JobName><JobType>j</JobType>\
            <CreationTimeUTC>2025-01-01T00:00:00Z</CreationTimeUTC><EndTimeUTC>2025-01-01T00:00:00Z</EndTimeUTC>\
            <State>Stopped</State><Result>Failed</Result><Progress>2</Progress><IsRetry>true</IsRetry>\
            <FailureMessage>f</FailureMessage><New>b</New>";
        let mut b = parse(document(all, "b"));
        b.r#type.clear();
        assert_eq!(differences(&a, &b).len(), 15, "{:?}", differences(&a, &b));
        b = ReplicaSession { entity: Some(EntityFields::default()), ..a.clone() };
        assert_eq!(differences(&a, &b), ["State", "Progress"]);
    }
}
