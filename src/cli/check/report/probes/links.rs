//! Questions about the links of sessions.

use super::{Probe, documents::some, found};
use crate::cli::check::{
    outline::Element,
    report::{evidence::Evidence, safe::Safe},
};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "task-link",
        question: "How is the link to the tasks spelt?",
        assumed: "repicaTaskSessions or replicaTaskSessions",
        look: |evidence| {
            let links = links(evidence)?;
            let down = links
                .iter()
                .filter(|link| link.attribute("Rel") == Some("Down"));
            let spelling = |link: &&Element| {
                let end = link.attribute("Href")?.rsplit('/').next()?;
                let end = end.split('?').next()?;
                Some(Safe::one_of(
                    end,
                    &["repicaTaskSessions", "replicaTaskSessions"],
                ))
            };
            let down: Vec<_> = down.copied().filter_map(|link| spelling(&link)).collect();
            let holds = !down.contains(&Safe::word("another"));
            found(Safe::counted(down), holds)
        },
    },
    Probe {
        id: "links",
        question: "How many of the sessions have which links?",
        assumed: "each one to its backup server",
        look: |evidence| {
            let sessions = some(evidence.sessions())?;
            let with = |r#type: &'static str| {
                let has = |session: &&&[Element]| {
                    let mut links = session.iter().filter(|element| element.name == "Link");
                    links.any(|link| link.attribute("Type") == Some(r#type))
                };
                sessions.iter().filter(has).count()
            };
            let servers = with("BackupServerReference");
            let told = [
                Safe::number(servers as u64).named("server"),
                Safe::number(with("JobReference") as u64).named("job"),
                Safe::number(with("ReplicaTaskSessionReferenceList") as u64).named("tasks"),
                Safe::number(sessions.len() as u64).named("of"),
            ];
            found(Safe::list(told), servers == sessions.len())
        },
    },
    Probe {
        id: "href-host",
        question: "Do links name the host and port that were asked?",
        assumed: "any host",
        look: |evidence| {
            let asked = format!("//{}/", evidence.host);
            let name = |link: &&Element| {
                let href = link.attribute("Href")?.to_ascii_lowercase();
                Some(Safe::word(if href.contains(&asked) {
                    "the same"
                } else if href.contains("//localhost") {
                    "localhost"
                } else {
                    "another"
                }))
            };
            let links = links(evidence)?;
            found(
                Safe::counted(links.into_iter().filter_map(|link| name(&link))),
                true,
            )
        },
    },
];

/// All links of sessions.
fn links(evidence: &Evidence) -> Option<Vec<&Element>> {
    let sessions = evidence.sessions();
    let elements = sessions.into_iter().flat_map(|session| session.iter());
    some(elements.filter(|element| element.name == "Link").collect())
}
