//! Evidence gathered from the ledger: what the command line and the API hand out. Reads only.

use std::collections::BTreeMap;

use xagent_domain::bundle::Bundles;
use xagent_domain::{Content, Digest, Recorded, RunId, Tenant};
use xagent_ledger::{Ledger, LedgerError, StoredCheckpoint};
use xagent_replay::Needs;
use xagent_replay::evidence::{Earlier, Law, Package, Positions, RunName, SignedTree, Subject, refers};

/// Events read at once.
const PAGE: u32 = 1000;

/// What evidence is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Runs, by tenant; with each, the runs it continues.
    pub runs: Vec<(Tenant, String)>,
    /// Positions; up to the checkpoint where no last one is given.
    pub range: Option<(u64, Option<u64>)>,
    /// Everything from the first event of the runs up to the checkpoint too, so that nothing of them can be missing.
    pub tail: bool,
    /// A checkpoint kept earlier.
    pub since: Option<String>,
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The ledger does not answer, or does not hold.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is no such run in the signed tree.
    #[error("there is no run `{run}` among the {size} events that are signed")]
    NoRun {
        /// The run.
        run: String,
        /// Events signed.
        size: u64,
    },
    /// There are no such positions in the signed tree.
    #[error("positions {first} to {last} are not all among the {size} events that are signed")]
    NoRange {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
        /// Events signed.
        size: u64,
    },
    /// It would be larger than may be.
    #[error("it would be larger than {0} bytes")]
    TooLarge(usize),
    /// What was kept is no checkpoint that the tree follows on.
    #[error("the earlier checkpoint: {0}")]
    Since(String),
    /// Something that belongs to it is not recorded, or cannot be read.
    #[error("{0}")]
    Incomplete(String),
}

/// The file of what is wanted, of at most `largest` bytes.
pub async fn export(
    ledger: &Ledger,
    checkpoint: StoredCheckpoint,
    wanted: Wanted,
    largest: usize,
) -> Result<Vec<u8>, EvidenceError> {
    let mut gathering = Gathering { ledger, size: checkpoint.size, left: largest, largest, events: BTreeMap::new() };
    let mut subject = Subject::default();
    let mut wanted_runs = wanted.runs;
    while let Some((tenant, run)) = wanted_runs.pop() {
        if subject.runs.iter().any(|there| (&there.tenant, &there.run) == (&tenant, &run)) {
            continue;
        }
        let (gathered, continued) = gathering.run(tenant.clone(), run).await?;
        subject.runs.push(gathered);
        // What a fork took over is proven only beside the run that recorded it.
        wanted_runs.extend(continued.map(|run| (tenant, run.to_string())));
    }
    subject.runs.sort();
    let first = gathering.events.keys().next().copied().filter(|_| wanted.tail);
    if let Some((first, last)) = wanted.range.or_else(|| first.map(|first| (first, None))) {
        let range = Positions { first, last: last.unwrap_or(checkpoint.size) };
        gathering.range(range).await?;
        subject.range = Some(range);
    }
    let earlier = match wanted.since {
        Some(note) => Some(gathering.since(note).await?),
        None => None,
    };
    let (bundles, blobs) = gathering.content().await?;
    let positions: Vec<_> = gathering.events.keys().copied().collect();
    let path = ledger.batch(&positions, checkpoint.size).await?.unwrap_or_default();
    let checkpoint = SignedTree { note: checkpoint.note, verifier: checkpoint.verifier };
    let events = gathering.events.into_values().collect();
    let package = Package { subject, checkpoint, earlier, events, bundles, blobs, path };
    let file = package.write().map_err(|error| EvidenceError::Incomplete(error.to_string()))?;
    if file.len() > largest { Err(EvidenceError::TooLarge(largest)) } else { Ok(file) }
}

/// What was read so far.
struct Gathering<'a> {
    ledger: &'a Ledger,
    size: u64,
    /// Bytes that may still come.
    left: usize,
    largest: usize,
    events: BTreeMap<u64, Recorded>,
}

impl Gathering<'_> {
    /// The events of a run, and the run that it continues, where it does.
    async fn run(&mut self, tenant: Tenant, run: String) -> Result<(RunName, Option<RunId>), EvidenceError> {
        let (mut sequence, mut continued) = (0, None);
        loop {
            let page = self.ledger.stream(&tenant, "run", &run, sequence, PAGE).await?;
            let read = page.len();
            let before: Vec<_> = page.into_iter().filter(|event| event.position <= self.size).collect();
            let ended = before.len() < PAGE as usize || read < PAGE as usize;
            sequence = before.last().map_or(sequence, |event| event.sequence);
            continued = continued.or_else(|| Needs::origin(&before));
            self.take(before)?;
            if ended {
                break;
            }
        }
        match sequence {
            0 => Err(EvidenceError::NoRun { run, size: self.size }),
            events => Ok((RunName { tenant, run, events }, continued)),
        }
    }

    async fn range(&mut self, Positions { first, last }: Positions) -> Result<(), EvidenceError> {
        if first == 0 || first > last || last > self.size {
            return Err(EvidenceError::NoRange { first, last, size: self.size });
        }
        let mut after = first - 1;
        while after < last {
            let mut page = self.ledger.range(after, PAGE).await?;
            page.retain(|event| event.position <= last);
            let Some(reached) = page.last().map(|event| event.position) else {
                let missing = format!("the event at position {} is missing; run `xagent verify`", after + 1);
                return Err(EvidenceError::Incomplete(missing));
            };
            after = reached;
            self.take(page)?;
        }
        Ok(())
    }

    fn take(&mut self, page: Vec<Recorded>) -> Result<(), EvidenceError> {
        for event in page {
            let (leaf, position) = (xagent_tree::leaf_hash(&event), event.position);
            if leaf.ok() != Some(event.leaf_hash) {
                let detail = "its event is not the one that was sealed; run `xagent verify`".to_owned();
                return Err(LedgerError::Tampered { position, detail }.into());
            }
            let bytes = event.payload.len() + event.metadata.len();
            if self.events.insert(position, event).is_none() {
                self.spend(bytes)?;
            }
        }
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), EvidenceError> {
        self.left = self.left.checked_sub(bytes).ok_or(EvidenceError::TooLarge(self.largest))?;
        Ok(())
    }

    async fn since(&self, note: String) -> Result<Earlier, EvidenceError> {
        let wrong = |detail: &str| EvidenceError::Since(detail.to_owned());
        // Only its size is asked for here; whoever examines the file holds the note to its signature.
        let size = note.lines().nth(1).and_then(|size| size.parse::<u64>().ok());
        let size = size.ok_or_else(|| wrong("its second line is no number"))?;
        let proof = self.ledger.consistency(size, self.size).await?;
        let proof = proof.ok_or_else(|| wrong("it is of more events than are signed now, or of none"))?;
        Ok(Earlier { note, path: proof.path })
    }

    /// Bundles that decided, and all texts that events and bundles refer to.
    async fn content(&mut self) -> Result<(BTreeMap<Digest, Law>, BTreeMap<Digest, String>), EvidenceError> {
        let published = self.ledger.load::<Bundles>(&Tenant::default_tenant(), "policies").await?.state;
        let (mut bundles, mut blobs) = (BTreeMap::new(), BTreeMap::new());
        for event in std::mem::take(&mut self.events).into_values() {
            let incomplete = |error: String| EvidenceError::Incomplete(format!("position {}: {error}", event.position));
            let refers = refers(&event).map_err(|error| incomplete(error.to_string()))?;
            for digest in refers.blobs() {
                self.blob(digest, None, &mut blobs).await?;
            }
            if let Some(bundle) = refers.bundle().filter(|bundle| !bundles.contains_key(bundle)) {
                let manifest = published.published(&bundle);
                let manifest = manifest.ok_or_else(|| incomplete(format!("the bundle {bundle} is not recorded")))?;
                for Content { digest, text, .. } in manifest.modules.values().chain([&manifest.data]) {
                    self.blob(*digest, text.clone(), &mut blobs).await?;
                }
                let modules = manifest.modules.iter().map(|(path, content)| (path.clone(), content.digest)).collect();
                bundles.insert(bundle, Law { data: manifest.data.digest, modules });
            }
            self.events.insert(event.position, event);
        }
        Ok((bundles, blobs))
    }

    async fn blob(
        &mut self,
        digest: Digest,
        text: Option<String>,
        blobs: &mut BTreeMap<Digest, String>,
    ) -> Result<(), EvidenceError> {
        if blobs.contains_key(&digest) {
            return Ok(());
        }
        let text = match text {
            Some(text) => text,
            None => self.ledger.blob(&digest).await?.text,
        };
        self.spend(text.len())?;
        blobs.insert(digest, text);
        Ok(())
    }
}
