//! Runs as they were written last, bounded by bytes, so that a warm run is neither read nor parsed again.

use lru::LruCache;

use super::RunView;

/// Tenant and id of a run.
pub(super) type RunKey = (String, String);

/// Bytes of runs, as their JSON is long: in memory they are a few times that.
const LARGEST: usize = 16 * 1024 * 1024;

/// The runs that were written last.
pub(super) struct Cache {
    runs: LruCache<RunKey, (RunView, usize)>,
    bytes: usize,
}

impl Cache {
    pub fn new() -> Self {
        Self { runs: LruCache::unbounded(), bytes: 0 }
    }

    /// The run, if it is known exactly as of this sequence. It is put back once it is written.
    pub fn take(&mut self, key: &RunKey, sequence: u64) -> Option<RunView> {
        let (view, bytes) = self.runs.pop(key)?;
        self.bytes -= bytes;
        (view.sequence == sequence).then_some(view)
    }

    /// Remembers a run whose JSON has this length.
    pub fn put(&mut self, key: RunKey, view: RunView, bytes: usize) {
        let before = self.runs.put(key, (view, bytes)).map_or(0, |(_, bytes)| bytes);
        self.bytes = self.bytes - before + bytes;
        while self.bytes > LARGEST
            && let Some((_, (_, bytes))) = self.runs.pop_lru()
        {
            self.bytes -= bytes;
        }
    }

    /// Forgets all: somebody else has written.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xagent_domain::run::Run;

    fn view(sequence: u64) -> RunView {
        RunView { sequence, position: sequence, updated_at_us: 0, state: Run::default() }
    }

    fn key(run: usize) -> RunKey {
        ("acme".to_owned(), format!("run_{run}"))
    }

    #[test]
    fn a_run_is_given_only_as_of_the_sequence_it_has() {
        let mut cache = Cache::new();
        cache.put(key(1), view(7), 10);
        assert_eq!(cache.take(&key(1), 6), None);
        cache.put(key(1), view(7), 10);
        assert_eq!(cache.take(&key(1), 7), Some(view(7)));
        assert_eq!((cache.take(&key(1), 7), cache.bytes), (None, 0));
    }

    #[test]
    fn the_longest_unused_make_room_by_bytes() {
        let mut cache = Cache::new();
        for run in 0..5 {
            cache.put(key(run), view(1), LARGEST / 4);
        }
        assert_eq!(cache.bytes, LARGEST);
        assert_eq!(cache.take(&key(0), 1), None);
        assert_eq!(cache.take(&key(1), 1), Some(view(1)));
        cache.put(key(9), view(1), LARGEST + 1);
        assert_eq!((cache.runs.len(), cache.bytes), (0, 0), "what is larger than all of it is not kept");
    }
}
