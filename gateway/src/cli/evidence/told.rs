//! A verdict on evidence, for people.

use xagent_replay::evidence::{RunProven, Tail, Verdict};

use crate::cli::terminal::Paint;

/// Runs that are told one by one.
const RUNS: usize = 20;

pub fn told(verdict: &Verdict, paint: Paint) -> String {
    if !verdict.holds {
        let broken = paint.bad("broken");
        let lines: Vec<_> = verdict.findings.iter().map(|finding| format!("{broken} {finding}")).collect();
        return lines.join("\n");
    }
    let mut lines =
        vec![format!("{} {} events, each in the signed tree, none missing", paint.good("holds"), verdict.events)];
    if let Some(tree) = &verdict.tree {
        lines.push(format!("  the tree      {} events, root {}", tree.size, tree.root));
        lines.extend(tree.keys.iter().map(|key| format!("  signed by     {key}")));
    }
    lines.extend(verdict.follows.map(|size| format!("  follows on    the earlier tree of {size} events")));
    lines.extend(
        verdict.range.map(|range| format!("  the range     all positions from {} to {}", range.first, range.last)),
    );
    lines.extend(verdict.runs.iter().take(RUNS).map(run));
    if let Some(more) = verdict.runs.len().checked_sub(RUNS).filter(|more| *more > 0) {
        lines.push(format!("  and           {more} more runs; --json tells all"));
    }
    let decided = verdict.decided;
    lines.push(format!(
        "  decisions     {}, of which {} were decided again alike, {} on inputs rebuilt from the events before",
        decided.decisions, decided.decided_again, decided.inputs_rebuilt
    ));
    if decided.not_decidable_again > 0 {
        let count = decided.not_decidable_again;
        lines.push(format!(
            "  no answer     {count} recorded denials had none from the engine and cannot be decided again"
        ));
    }
    lines.join("\n")
}

fn run(run: &RunProven) -> String {
    let tail = match run.tail {
        Tail::Proven => "proven to be all up to the checkpoint",
        Tail::Ended => "it has ended; that nothing was appended since is not proven",
        Tail::Open => "it goes on; that there is no later one is not proven",
    };
    let continues = run.continues.as_ref().map(|other| match other.compared {
        true => format!(
            "\n  continues     {} at {}: what it took over, and what answered, is what that run recorded",
            other.run, other.at
        ),
        false => format!(
            "\n  continues     {} at {}, which is not in the file: what it took over was not compared with it",
            other.run, other.at
        ),
    });
    format!("  the run       {}: events 1 to {}, {tail}{}", run.run, run.events, continues.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use xagent_policies::Bulk;
    use xagent_replay::evidence::examine;

    use super::*;
    use crate::cli::replay::LIMITS;

    macro_rules! vector {
        ($name:literal) => {
            include_bytes!(concat!("../../../../projections/replay/tests/evidence/vectors/", $name)).as_slice()
        };
    }

    fn said(file: &[u8]) -> String {
        let expected = String::from_utf8_lossy(vector!("expected.json"));
        let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
        let key = expected["key"].as_str().unwrap().parse().unwrap();
        told(&examine(file, &[key], None, &Bulk::exact(LIMITS)), Paint::plain())
    }

    #[test]
    fn what_holds_is_told_with_what_is_not_proven() {
        let told = said(vector!("run_since_checkpoint.xe"));
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines[0], "holds 6 events, each in the signed tree, none missing");
        assert!(lines[1].starts_with("  the tree      9 events, root "), "{told}");
        assert!(lines[2].starts_with("  signed by     example.org/ledger+"), "{told}");
        assert_eq!(
            lines[3..],
            [
                "  follows on    the earlier tree of 5 events",
                "  the run       run_01a20ae0d70b7641ac316fb17cdcdd28: events 1 to 6, it has ended; that nothing was appended since is not proven",
                "  decisions     2, of which 2 were decided again alike, 2 on inputs rebuilt from the events before",
            ]
        );
        let told = said(vector!("run_with_tail.xe"));
        assert!(told.contains("\n  the range     all positions from 2 to 9\n"), "{told}");
        assert!(told.contains(": events 1 to 6, proven to be all up to the checkpoint\n"), "{told}");
    }

    #[test]
    fn what_does_not_hold_is_told_with_its_place() {
        assert_eq!(
            said(vector!("event_left_out.xe")),
            "broken a gap: run run_01a20ae0d70b7641ac316fb17cdcdd28: sequence 4 is missing, between positions 4 and 7"
        );
        let forged = said(vector!("decision_forged.xe"));
        let place = "broken decided again, it is another: position 2 (sequence 1 of run run_01a20ae0d70b7641ac316fb17cdcdd28, DecisionMade): ";
        assert!(forged.starts_with(place), "{forged}");
    }
}
