//! Old ranges in files: moved away while appends go on, verified through, proven from, refused where they are needed, and
//! moved back.

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::Executor;
use xagent_domain::tool::Tool;
use xagent_domain::{Digest, Tenant};
use xagent_ledger::{Against, CommandKey, LedgerError};
use xagent_tree::{Tile, node_hash, verify_consistency, verify_inclusion};

use crate::world::{Bare, stream};

/// A ledger in ranges of 256 events, 600 of them in all: two ranges are full.
async fn in_ranges() -> Bare {
    let bare = Bare::in_ranges(256).await;
    bare.fill(0..300).await;
    bare
}

impl Bare {
    async fn refused(&self, arguments: &[&str]) -> String {
        let (code, said) = self.xagent(arguments).await;
        assert_eq!(code, Some(2), "{said:#}");
        said["error"].as_str().unwrap().to_owned()
    }
}

fn places(said: &Value) -> Vec<(u64, u64, bool)> {
    let range = |range: &Value| {
        (range["first"].as_u64().unwrap(), range["last"].as_u64().unwrap(), range["read"].as_bool().unwrap())
    };
    said["archived"].as_array().into_iter().flatten().map(range).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_moved_away_while_appends_go_on_and_verified_through_its_file() {
    let bare = in_ranges().await;
    let before = bare.holds(&[]).await;
    let appends = async { join_all((300..400).map(|number| bare.command(number))).await };
    let (file, appended) = tokio::join!(bare.detach("one.xa"), appends);
    appended.into_iter().for_each(|appended| assert!(!appended.unwrap().repeated));

    let left: i64 = sqlx::query_scalar("SELECT min(position) FROM events").fetch_one(&bare.superuser).await.unwrap();
    assert_eq!(left, 257);
    let unread = bare.holds(&[]).await;
    assert_eq!((unread["events"].as_u64(), places(&unread)), (Some(800 - 256), vec![(1, 256, false)]));
    let read = bare.holds(&["--archive", &file]).await;
    assert_eq!((read["events"].as_u64(), places(&read)), (Some(800), vec![(1, 256, true)]));
    assert_eq!(read["root"], unread["root"]);
    let root: Digest = before["root"].as_str().unwrap().parse().unwrap();
    assert_eq!(bare.ledger.root_at(600).await.unwrap(), root);

    let second = bare.detach("two.xa").await;
    let said = bare.holds(&["--archive", &second]).await;
    assert_eq!(places(&said), [(1, 256, false), (257, 512, true)]);
    let both = bare.holds(&["--archive", &second, "--archive", &file]).await;
    assert_eq!((both["events"].as_u64(), places(&both)), (Some(800), vec![(1, 256, true), (257, 512, true)]));
    let (_, list) = bare.xagent(&["archive", "list"]).await;
    assert_eq!(list["archived"].as_array().map(Vec::len), Some(2), "{list:#}");
    assert_eq!(list["attached"][0]["first"], 513);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_archived_can_be_proven_and_its_commands_are_known() {
    let bare = in_ranges().await;
    let first: Vec<_> = join_all((0..300).map(|number| receipt(&bare, number))).await;
    bare.detach("one.xa").await;
    let again: Vec<_> = join_all((0..300).map(|number| receipt(&bare, number))).await;
    assert_eq!(again, first);
    for number in [0, 40, 127, 128, 200] {
        assert!(bare.command(number).await.unwrap().repeated);
    }
    let root = bare.ledger.root_at(600).await.unwrap();
    for receipt in first.iter().step_by(17) {
        let position = receipt.first_position;
        let proof = bare.ledger.inclusion(position, 600).await.unwrap().unwrap();
        assert!(verify_inclusion(&receipt.leaf_hashes[0], position - 1, 600, &proof.path, &root), "{position}");
        let proof = bare.ledger.consistency(receipt.tree_size, 600).await.unwrap().unwrap();
        assert!(verify_consistency(receipt.tree_size, 600, &proof.path, &receipt.root, &root), "{position}");
    }
}

/// MTH of RFC 6962 over hashes.
fn mth(hashes: &[Digest]) -> Digest {
    match hashes {
        [hash] => *hash,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            node_hash(&mth(left), &mth(right))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_of_what_is_archived_are_served_and_alone_give_the_root() {
    let bare = in_ranges().await;
    let root = bare.ledger.root_at(600).await.unwrap();
    let tiles: Vec<_> = Tile::of_tree(600).chain(Tile::of_tree(100)).collect();
    let mut served = Vec::new();
    for tile in &tiles {
        served.push(bare.ledger.tile(*tile).await.unwrap().unwrap());
    }
    for file in ["one.xa", "two.xa"] {
        bare.detach(file).await;
        // Also to a process that has never seen the events.
        for ledger in [&bare.ledger, &bare.another_ledger()] {
            for (tile, served) in tiles.iter().zip(&served) {
                assert_eq!(ledger.tile(*tile).await.unwrap().as_ref(), Some(served), "{tile}");
            }
        }
    }
    let leaves: Vec<_> = Tile::of_tree(600).zip(&served).filter(|(tile, _)| tile.height() == Some(0)).collect();
    let leaves: Vec<_> = leaves.into_iter().flat_map(|(_, hashes)| hashes.iter().copied()).collect();
    assert_eq!((leaves.len(), mth(&leaves)), (600, root));
    for (index, leaf) in (0..).zip(&leaves) {
        let proof = bare.ledger.inclusion(index + 1, 600).await.unwrap().unwrap();
        assert!(verify_inclusion(leaf, index, 600, &proof.path, &root), "{index}");
    }
    for size in (1..=600).step_by(7) {
        let (proof, old) = (bare.ledger.consistency(size, 600).await.unwrap().unwrap(), mth(&leaves[..size as usize]));
        assert!(verify_consistency(size, 600, &proof.path, &old, &root), "{size}");
    }
}

async fn receipt(bare: &Bare, number: u32) -> xagent_ledger::Receipt {
    let key = CommandKey { id: format!("key-{number}").parse().unwrap(), body: Digest::of(b"body") };
    bare.ledger.receipt(&Tenant::default_tenant(), &key).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_what_is_archived_says_where_it_is() {
    let bare = in_ranges().await;
    let tenant = Tenant::default_tenant();
    let whole = bare.ledger.load_at::<Tool>(&tenant, &stream(3), u64::MAX).await.unwrap();
    bare.detach("one.xa").await;
    let archived = |error: LedgerError| match error {
        LedgerError::Archived { position, file } => (position, file),
        other => panic!("{other}"),
    };
    let (position, file) = archived(bare.ledger.load::<Tool>(&tenant, &stream(3)).await.unwrap_err());
    assert!(position <= 256 && file == "one.xa", "{position} {file}");
    let after = bare.ledger.stream(&tenant, "tool", &stream(3), whole.sequence - 2, 10).await.unwrap();
    assert_eq!(after.len(), 2, "what is here can be read");
    let nothing = bare.ledger.stream(&"other".parse().unwrap(), "tool", &stream(3), 0, 10).await.unwrap();
    assert_eq!(nothing, [], "another tenant does not hear of it");
    assert_eq!(archived(bare.ledger.range(0, 10).await.unwrap_err()).0, 1);
    assert_eq!(archived(bare.ledger.range(255, 10).await.unwrap_err()).0, 256);
    assert_eq!(bare.ledger.range(256, 10).await.unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_comes_back_from_its_file() {
    let bare = in_ranges().await;
    let events = bare.ledger.range(0, 1000).await.unwrap();
    let (one, two) = (bare.detach("one.xa").await, bare.detach("two.xa").await);
    let said = bare.refused(&["archive", "attach", &one]).await;
    assert!(said.contains("the events here begin at 513"), "{said}");
    for file in [&two, &one] {
        let (code, said) = bare.xagent(&["archive", "attach", file]).await;
        assert_eq!((code, &said["done"]), (Some(0), &json!("attached")), "{said:#}");
        bare.holds(&[]).await;
    }
    assert_eq!(bare.ledger.range(0, 1000).await.unwrap(), events);
    bare.ledger.load::<Tool>(&Tenant::default_tenant(), &stream(3)).await.unwrap();
    assert!(bare.command(5).await.unwrap().repeated);
    for change in ["DELETE FROM events WHERE position = 1", "TRUNCATE events_from_1"] {
        let refused = bare.superuser.execute(change).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"), "{change}");
    }
    let indexes = "SELECT count(*) FROM pg_index WHERE indrelid = $1::regclass";
    let mut counts = Vec::new();
    for table in ["events_from_1", "events_from_513"] {
        counts.push(sqlx::query_scalar::<_, i64>(indexes).bind(table).fetch_one(&bare.superuser).await.unwrap());
    }
    assert_eq!(counts, [6, 6], "no index was built twice");
    assert!(bare.refused(&["verify", "--archive", &one]).await.contains("is not archived here"));

    std::fs::remove_file(&one).unwrap();
    let again = bare.detach("one.xa").await;
    bare.holds(&["--archive", &again]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_oldest_whole_range_behind_the_head_is_moved_and_never_over_a_file() {
    let bare = in_ranges().await;
    let file = bare.file("one.xa").display().to_string();
    let said = bare.refused(&["archive", "detach", &file, "--first", "257"]).await;
    assert!(said.contains("the oldest range here is that from position 1"), "{said}");
    std::fs::write(&file, "mine").unwrap();
    let said = bare.refused(&["archive", "detach", &file]).await;
    assert!(said.contains("not there yet"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    bare.detach("first.xa").await;
    bare.detach("second.xa").await;
    let said = bare.refused(&["archive", "detach", &bare.file("third.xa").display().to_string()]).await;
    assert!(said.contains("only a range that is full and behind can be moved"), "{said}");
    bare.holds(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_was_tampered_with_is_not_moved() {
    let bare = in_ranges().await;
    bare.tamper(&["UPDATE events SET payload = replace(payload::text, 'xxx', 'xyx')::json WHERE position = 77"]).await;
    let file = bare.file("one.xa");
    let said = bare.refused(&["archive", "detach", &file.display().to_string()]).await;
    assert!(said.contains("its event at position 77 is not what was sealed"), "{said}");
    assert!(!file.exists() && !file.with_file_name("one.xa.part").exists(), "nothing is in the way of another attempt");
    assert_eq!(bare.broken(&[]).await["fault"]["position"], 77);
}

/// The file with its rows changed by `change`, and sealed anew if `seal`.
fn forge(file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>, seal: bool) {
    let bytes = std::fs::read(file).unwrap();
    let head = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let tail = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    let rows = zstd::stream::decode_all(&bytes[head..tail]).unwrap();
    let mut forged = bytes[..head].to_vec();
    forged.extend(zstd::stream::encode_all(&*change(rows), 3).unwrap());
    forged.push(b'\n');
    let mut trailer: Value = serde_json::from_slice(&bytes[tail + 1..]).unwrap();
    if seal {
        trailer["sha256"] = json!(Digest::of(&forged));
    }
    forged.extend(format!("{trailer}\n").bytes());
    std::fs::write(file, forged).unwrap();
}

/// Where the events of a position begin to say something else.
fn lie(mut rows: Vec<u8>) -> Vec<u8> {
    let place = rows.windows(4).position(|window| window == b"xxxx").unwrap();
    rows[place] = b'y';
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_tampered_with_is_named_and_does_not_come_back() {
    let bare = in_ranges().await;
    let file = bare.detach("one.xa").await;
    forge(&file, lie, true);
    let said = bare.broken(&["--archive", &file]).await;
    let named: Vec<_> = said["faults"].as_array().unwrap().iter().map(|f| (&f["kind"], &f["position"])).collect();
    let (archive, edited, one) = (json!("archive"), json!("edited"), json!(1));
    assert_eq!(named, [(&archive, &one), (&edited, &one)], "{said:#}");
    let refused = bare.refused(&["archive", "attach", &file]).await;
    assert!(refused.contains("its event at position 1 is not what was sealed"), "{refused}");
    bare.holds(&[]).await;

    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(bare.xagent(&["verify", "--archive", &file]).await.0, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_bytes_are_not_what_it_seals_is_named() {
    let bare = in_ranges().await;
    let file = bare.detach("one.xa").await;
    forge(&file, |rows| rows, false);
    let mut bytes = std::fs::read(&file).unwrap();
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let said = bare.broken(&["--archive", &file]).await;
    assert_eq!(said["fault"]["kind"], "archive", "{said:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaf_hashes_of_an_archived_range_are_held_to_the_tree() {
    let bare = in_ranges().await;
    let file = bare.detach("one.xa").await;
    bare.tamper(&["UPDATE archived_leaves SET hashes = overlay(hashes PLACING sha256('') FROM 33) WHERE index = 0"])
        .await;
    let said = bare.broken(&[]).await;
    assert_eq!((&said["fault"]["kind"], &said["fault"]["position"]), (&json!("rebuilt"), &json!(1)), "{said:#}");
    let said = bare.broken(&["--archive", &file]).await;
    assert_eq!((&said["fault"]["kind"], &said["fault"]["position"]), (&json!("edited"), &json!(2)), "{said:#}");
    assert_eq!(said["fault"]["column"], "leaf_hash");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_moves_a_range_while_the_ledger_is_verified() {
    let bare = in_ranges().await;
    let mut verifying = bare.superuser.acquire().await.unwrap();
    let lock = "SELECT pg_advisory_lock_shared(7281094554)";
    sqlx::query(lock).execute(&mut *verifying).await.unwrap();
    let said = bare.refused(&["archive", "detach", &bare.file("one.xa").display().to_string()]).await;
    assert!(said.contains("is being verified"), "{said}");
    verifying.close().await.unwrap();
    let mut moving = bare.superuser.acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(7281094554)").execute(&mut *moving).await.unwrap();
    let error = bare.ledger.verify(&Against::default(), |_, _| {}).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("is being moved"), "{error}");
}
