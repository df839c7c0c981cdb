//! What a contestant did, and how it is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// What one contestant did in all its turns.
#[derive(Default)]
pub struct Figures {
    pub events: u64,
    pub seconds: f64,
    /// Milliseconds of each append.
    pub times: Vec<f64>,
}

impl Figures {
    pub fn add(&mut self, turn: Figures) {
        self.events += turn.events;
        self.seconds += turn.seconds;
        self.times.extend(turn.times);
        self.times.sort_by(f64::total_cmp);
    }

    pub fn rate(&self) -> f64 {
        self.events as f64 / self.seconds
    }

    /// The time that so many percent of the appends stay within.
    pub fn percentile(&self, percent: usize) -> f64 {
        self.times[self.times.len() * percent / 100]
    }
}

/// Lets `writers` append again and again for `time`; each is told its number and how often it has appended before, and
/// tells how many events it has appended.
pub async fn measure<F, Fut>(writers: usize, time: Duration, append: F) -> Figures
where
    F: Fn(usize, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = u64> + Send,
{
    let append = Arc::new(append);
    let begin = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let append = append.clone();
            tokio::spawn(async move {
                let (mut events, mut times) = (0, Vec::new());
                while begin.elapsed() < time {
                    let asked = Instant::now();
                    events += append(writer, times.len() as u64).await;
                    times.push(asked.elapsed().as_secs_f64() * 1000.0);
                }
                (events, times)
            })
        })
        .collect();
    let (mut events, mut times) = (0, Vec::new());
    for task in tasks {
        let (done, taken) = task.await.unwrap();
        events += done;
        times.extend(taken);
    }
    Figures { events, seconds: begin.elapsed().as_secs_f64(), times }
}
