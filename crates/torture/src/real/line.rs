//! What a child says, a line each: what it begins before it calls, what came of it after the call returned.

use super::Micros;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The store is open, and this was in doubt.
    Open { at: Micros, tokens: Vec<String> },
    /// A call is about to be made.
    Begin { op: u64, at: Micros, what: What },
    /// A call has returned.
    End { op: u64, at: Micros, how: How },
    /// A call has failed in a way that ends the child.
    Failed { at: Micros, text: String },
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Insert(Vec<u64>),
    Claim(Vec<u64>),
    /// The commit of what an earlier call claimed.
    Commit(u64),
    /// The first half of it, under a token.
    Prepare(u64, String),
    /// The second half: commit or abort.
    Settle(String, bool),
    Forget(Vec<u64>),
    Sync,
    /// A checkpoint, into a folder of this name beside the store.
    Copy(String),
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    Done,
    /// A letter an id: New, Duplicate, in Flight, Replay, or what should never come.
    Verdicts(String),
    /// Refused, and nothing of it is kept.
    Refused,
    /// Refused for a full disk, and nothing of it is kept.
    Full,
}

impl Event {
    pub(super) fn to_line(&self) -> String {
        match self {
            Event::Open { at, tokens } => format!("open {at} {}\n", tokens.join(" ")),
            Event::Begin { op, at, what } => format!("begin {op} {at} {}\n", what.text()),
            Event::End { op, at, how } => format!("end {op} {at} {}\n", how.text()),
            Event::Failed { at, text } => format!("failed {at} {}\n", text.replace('\n', " ")),
        }
    }

    /// `None` for what no child says.
    pub(super) fn of_line(line: &str) -> Option<Event> {
        let (word, rest) = line.split_once(' ')?;
        let mut words = rest.splitn(3, ' ');
        let mut number = || words.next()?.parse().ok();
        Some(match word {
            "open" => {
                let (at, tokens) = rest.split_once(' ')?;
                let tokens = tokens.split_whitespace().map(str::to_owned).collect();
                Event::Open { at: at.parse().ok()?, tokens }
            }
            "failed" => {
                let (at, text) = rest.split_once(' ')?;
                Event::Failed { at: at.parse().ok()?, text: text.to_owned() }
            }
            "begin" => {
                let (op, at) = (number()?, number()?);
                Event::Begin { op, at, what: What::of_text(words.next()?)? }
            }
            "end" => {
                let (op, at) = (number()?, number()?);
                Event::End { op, at, how: How::of_text(words.next()?)? }
            }
            _ => return None,
        })
    }
}

impl What {
    fn text(&self) -> String {
        match self {
            What::Insert(ids) => format!("insert {}", ids_text(ids)),
            What::Claim(ids) => format!("claim {}", ids_text(ids)),
            What::Commit(claim) => format!("commit {claim}"),
            What::Prepare(claim, token) => format!("prepare {claim} {token}"),
            What::Settle(token, commit) => format!("settle {token} {commit}"),
            What::Forget(ids) => format!("forget {}", ids_text(ids)),
            What::Sync => "sync".to_owned(),
            What::Copy(name) => format!("copy {name}"),
        }
    }

    fn of_text(text: &str) -> Option<What> {
        let words: Vec<&str> = text.split(' ').collect();
        Some(match words[..] {
            ["insert", ids] => What::Insert(ids_of_text(ids)?),
            ["claim", ids] => What::Claim(ids_of_text(ids)?),
            ["commit", claim] => What::Commit(claim.parse().ok()?),
            ["prepare", claim, token] => What::Prepare(claim.parse().ok()?, token.to_owned()),
            ["settle", token, commit] => What::Settle(token.to_owned(), commit.parse().ok()?),
            ["forget", ids] => What::Forget(ids_of_text(ids)?),
            ["sync"] => What::Sync,
            ["copy", name] => What::Copy(name.to_owned()),
            _ => return None,
        })
    }
}

impl How {
    fn text(&self) -> String {
        match self {
            How::Done => "done".to_owned(),
            How::Verdicts(letters) => format!("verdicts {letters}"),
            How::Refused => "refused".to_owned(),
            How::Full => "full".to_owned(),
        }
    }

    fn of_text(text: &str) -> Option<How> {
        Some(match text.split_once(' ') {
            None if text == "done" => How::Done,
            None if text == "refused" => How::Refused,
            None if text == "full" => How::Full,
            Some(("verdicts", letters)) => How::Verdicts(letters.to_owned()),
            _ => return None,
        })
    }
}

/// Ranges of consecutive ids, as `first+count`.
fn ids_text(ids: &[u64]) -> String {
    let runs = ids.chunk_by(|before, after| before + 1 == *after);
    let runs: Vec<String> = runs.map(|run| format!("{}+{}", run[0], run.len())).collect();
    runs.join(",")
}

fn ids_of_text(text: &str) -> Option<Vec<u64>> {
    let mut ids = Vec::new();
    for run in text.split(',') {
        let (first, count) = run.split_once('+')?;
        let (first, count): (u64, u64) = (first.parse().ok()?, count.parse().ok()?);
        ids.extend(first..first + count);
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let calls = [
            What::Insert(vec![1, 2, 3, 9, 8]),
            What::Claim(vec![7]),
            What::Commit(4),
            What::Prepare(5, "a-b".into()),
            What::Settle("a-b".into(), false),
            What::Forget(vec![1 << 56]),
            What::Sync,
            What::Copy("copy-1".into()),
        ];
        let ends = [How::Done, How::Verdicts("NDF".into()), How::Refused, How::Full];
        let begun = calls.map(|what| Event::Begin { op: 3, at: 4, what });
        let ended = ends.map(|how| Event::End { op: 3, at: 4, how });
        let others = [
            Event::Open { at: 1, tokens: vec!["x".into(), "y".into()] },
            Event::Open { at: 1, tokens: Vec::new() },
            Event::Failed { at: 9, text: "no room left".into() },
        ];
        for event in begun.into_iter().chain(ended).chain(others) {
            let line = event.to_line();
            assert_eq!(Event::of_line(line.strip_suffix('\n').unwrap()), Some(event));
        }
        assert_eq!(Event::of_line("begin 3 x sync"), None);
    }
}
