//! Bundles as files: folders, archives of a stock OPA, signatures, and what is refused before anything is read of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};
use xagent_policies::{Bundle, BundleError, Change, Files, Key, Trust, diff};

// Built and signed by a stock OPA: `opa build -b DIR --signing-key KEY --signing-alg ALGORITHM --claims-file CLAIMS`.
const RS256: &[u8] = include_bytes!("fixtures/rs256.tar.gz");
const ES256: &[u8] = include_bytes!("fixtures/es256.tar.gz");
const HS256: &[u8] = include_bytes!("fixtures/hs256.tar.gz");
const RSA: &str = include_str!("fixtures/rsa.pub");
const EC: &str = include_str!("fixtures/ec.pub");
const SECRET: &str = "a-secret-of-some-length";

fn key(algorithm: &str, key: &str, scope: &str) -> Key {
    serde_json::from_value(json!({"algorithm": algorithm, "key": key, "scope": scope})).unwrap()
}

fn trusting(algorithm: &str, text: &str, scope: &str) -> Trust {
    Trust::Keys(BTreeMap::from([("ops".to_owned(), key(algorithm, text, scope))]))
}

fn read(archive: &[u8], trust: &Trust) -> Result<Bundle, BundleError> {
    Files::from_archive(archive)?.bundle(trust)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, BundleError>, says: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

/// An archive of entries as they come, so that it may hold what no honest one does.
fn archive(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, kind, content) in entries {
        let mut header = Header::new_gnu();
        // Set byte by byte: the writer's own check would refuse these names.
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if *kind == EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn plain(path: &str, content: &[u8]) -> Vec<u8> {
    archive(&[(path, EntryType::Regular, content)])
}

#[test]
fn an_archive_of_a_stock_opa_is_read_with_its_manifest_and_its_data() {
    let bundle = read(RS256, &Trust::Unchecked).unwrap();
    assert_eq!(bundle.modules().keys().collect::<Vec<_>>(), ["b/api.rego", "b/tools.rego"]);
    assert_eq!((bundle.revision(), bundle.roots()), ("2026-11-25", &["xagent".to_owned()][..]));
    let data: Value = serde_json::from_str(bundle.data()).unwrap();
    assert_eq!(data["xagent"]["limits"]["known"][2], "zo\u{eb}\u{2028}");
    assert_eq!(bundle.signed_by(), None);
}

#[test]
fn signatures_of_a_stock_opa_hold_under_each_kind_of_key() {
    for (archive, trust) in [
        (RS256, trusting("RS256", RSA, "")),
        (ES256, trusting("ES256", EC, "")),
        (HS256, trusting("HS256", SECRET, "write")),
    ] {
        assert_eq!(read(archive, &trust).unwrap().signed_by(), Some("ops"));
    }
}

#[test]
fn the_algorithm_is_the_keys_own_and_not_the_tokens() {
    // A public key is no secret: taken for one, anybody could sign with it.
    refused(read(HS256, &trusting("RS256", RSA, "write")), "not signed by the key `ops`");
    refused(read(RS256, &trusting("HS256", RSA, "")), "not signed by the key `ops`");
    refused(read(RS256, &trusting("RS512", RSA, "")), "not signed by the key `ops`");
    refused(read(ES256, &trusting("ES256", RSA, "")), "no public key as PEM");
}

#[test]
fn another_key_another_id_and_another_scope_are_refused() {
    refused(read(HS256, &trusting("HS256", "another-secret-of-length", "write")), "not signed by the key `ops`");
    refused(read(HS256, &trusting("HS256", SECRET, "read")), "signed for the scope `write`");
    let other = Trust::Keys(BTreeMap::from([("dev".to_owned(), key("HS256", SECRET, "write"))]));
    refused(read(HS256, &other), "the key `ops` is not known here");
}

#[test]
fn with_keys_unsigned_bundles_are_refused_and_without_keys_signed_ones() {
    let unsigned = plain("a.rego", b"package a\n");
    refused(read(&unsigned, &trusting("RS256", RSA, "")), "takes signed bundles only");
    refused(read(RS256, &Trust::Keys(BTreeMap::new())), "no key is known here");
    assert!(read(&unsigned, &Trust::Keys(BTreeMap::new())).is_ok());
}

/// The files of a signed bundle, to be changed in a folder.
fn folder_of(archive: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut unpacked = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    unpacked.unpack(folder.path()).unwrap();
    folder
}

#[test]
fn a_signed_bundle_holds_only_as_it_was_signed() {
    let trust = trusting("RS256", RSA, "");
    let of = |folder: &tempfile::TempDir| Files::from_folder(folder.path()).unwrap().bundle(&trust);
    let folder = folder_of(RS256);
    assert_eq!(of(&folder).unwrap().signed_by(), Some("ops"));

    // What a JSON file means is signed, not its bytes.
    let data = std::fs::read_to_string(folder.path().join("data.json")).unwrap();
    let spaced = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&data).unwrap()).unwrap();
    std::fs::write(folder.path().join("data.json"), spaced).unwrap();
    assert!(of(&folder).is_ok());

    std::fs::write(folder.path().join("data.json"), data.replace("100", "101")).unwrap();
    refused(of(&folder), "`data.json` is not what was signed");
    let folder = folder_of(RS256);
    std::fs::write(folder.path().join("more.rego"), "package more\n").unwrap();
    refused(of(&folder), "`more.rego` is not signed");
    let folder = folder_of(RS256);
    std::fs::remove_file(folder.path().join("b/api.rego")).unwrap();
    refused(of(&folder), "`b/api.rego` was signed and is missing");
    let folder = folder_of(RS256);
    std::fs::write(folder.path().join("b/api.rego"), "package xagent.api\n").unwrap();
    refused(of(&folder), "`b/api.rego` is not what was signed");
}

#[test]
fn paths_that_lead_out_links_and_twins_are_refused() {
    for path in ["../a.rego", "a/../../b.rego", "/../a.rego", "a\\b.rego", "a\n.rego"] {
        assert!(matches!(Files::from_archive(&plain(path, b"")), Err(BundleError::Archive(_))), "{path:?}");
    }
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Fifo] {
        refused(Files::from_archive(&archive(&[("a.rego", kind, b"")])), "not a plain file");
    }
    let twins: [(&str, EntryType, &[u8]); 2] =
        [("a.rego", EntryType::Regular, b"package a\n"), ("./a.rego", EntryType::Regular, b"package b\n")];
    refused(Files::from_archive(&archive(&twins)), "a.rego: it is there twice");
}

#[test]
fn what_is_no_archive_is_refused() {
    refused(Files::from_archive(b"PK\x03\x04"), "expected is a .tar.gz");
    let mut cut = RS256.to_vec();
    cut.truncate(RS256.len() / 2);
    refused(Files::from_archive(&cut), "the archive");
    let mut flipped = RS256.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    refused(Files::from_archive(&flipped), "the archive");
}

#[test]
fn an_archive_is_bounded_also_when_it_is_unpacked() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1024 * 1024];
    let mut header = Header::new_gnu();
    header.set_path("a.rego").unwrap();
    header.set_size(1 << 30);
    header.set_cksum();
    bomb.write_all(header.as_bytes()).unwrap();
    (0..64).for_each(|_| bomb.write_all(&zeros).unwrap());
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000);
    assert!(matches!(Files::from_archive(&bomb), Err(BundleError::TooLarge(_))));

    let names: Vec<_> = (0..2001).map(|number| format!("{number}.txt")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), EntryType::Regular, &b""[..])).collect();
    assert!(matches!(Files::from_archive(&archive(&many)), Err(BundleError::TooLarge(_))));
    let large = plain("a.rego", &vec![b' '; 1024 * 1024 + 1]);
    assert!(matches!(read(&large, &Trust::Unchecked), Err(BundleError::TooLarge(_))));
    assert!(matches!(Files::from_archive(&vec![0; 8 * 1024 * 1024 + 1]), Err(BundleError::TooLarge(_))));
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn data_files_at_any_depth_are_merged_below_their_path() {
    let files = folder(&[
        ("data.json", "{\"a\": {\"x\": 1}, \"top\": true}"),
        ("a/data.json", "{\"y\": 2, \"x\": 1}"),
        ("a/b/data.json", "[3]"),
        ("a/notes.txt", "nothing"),
        (".git/data.json", "{\"hidden\": true}"),
    ]);
    let bundle = Bundle::from_folder(files.path()).unwrap();
    assert_eq!(bundle.data(), "{\"a\":{\"b\":[3],\"x\":1,\"y\":2},\"top\":true}");
}

#[test]
fn data_that_says_two_things_of_one_value_is_refused() {
    let files = folder(&[("data.json", "{\"a\": {\"x\": 1}}"), ("a/data.json", "{\"x\": 2}")]);
    refused(Bundle::from_folder(files.path()), "another data.json says something else of `/a/x`");
}

#[test]
fn files_that_would_be_passed_by_in_silence_are_refused() {
    for (path, text, says) in [
        ("data.yaml", "a: 1", "make it data.json"),
        ("policy.wasm", "", "bring Rego"),
        (".manifest", "{\"rego_version\": 0}", "only Rego v1"),
        (".manifest", "{\"wasm\": [{}]}", "leave `wasm` out"),
        (".manifest", "{\"roots\": [\"a\", \"a/b\"]}", "`a` and `a/b` overlap"),
        ("data.json", "[1]", "is an object"),
    ] {
        refused(Bundle::from_folder(folder(&[(path, text)]).path()), says);
    }
}

#[test]
fn what_is_outside_the_roots_is_found_by_the_gate() {
    let files = folder(&[
        (".manifest", "{\"roots\": [\"xagent/api\", \"xagent/limits\"]}"),
        ("a.rego", "package xagent.api\n\nx := 1\n"),
        ("b.rego", "package xagent.tools\n\nx := 1\n"),
        ("data.json", "{\"xagent\": {\"limits\": {\"most\": 1}, \"other\": 2}}"),
    ]);
    let error = xagent_policies::check(&Bundle::from_folder(files.path()).unwrap()).unwrap_err();
    let roots: Vec<_> =
        error.findings.iter().filter(|f| f.code == "roots").map(|f| (f.path.as_str(), f.line)).collect();
    assert_eq!(roots, [("b.rego", 1), ("data.json", 0)]);
}

#[test]
fn what_is_packed_is_read_again_and_equal_files_are_equal_bytes() {
    let files = [("x/a.rego", "package a\n"), ("x/data.json", "{\"b\": 1}"), (".manifest", "{\"revision\": \"7\"}")];
    let (one, other) = (folder(&files), folder(&files));
    let pack = |folder: &tempfile::TempDir| Files::from_folder(folder.path()).unwrap().pack().unwrap();
    let packed = pack(&one);
    assert_eq!(packed, pack(&other));
    let bundle = read(&packed, &Trust::Unchecked).unwrap();
    assert_eq!(bundle, Bundle::from_folder(one.path()).unwrap());
    assert_eq!((bundle.revision(), bundle.data()), ("7", "{\"x\":{\"b\":1}}"));
}

#[test]
fn what_changes_is_told_rule_by_rule_and_value_by_value() {
    let parts = |module: &str, more: &str, data: &str| {
        let modules = [("a.rego", module), (more, "package b\n\ny := 1\n")];
        Bundle::from_parts(modules.map(|(p, t)| (p.to_owned(), t.to_owned())).into(), data).unwrap()
    };
    let before = parts(
        "package a\n\nx := 1\n\nf(n) if n > 1\n\nf(n) if n < 0\n\ngone := 2\n",
        "b.rego",
        "{\"a\": {\"b/c\": 1, \"d\": [1]}}",
    );
    let after = parts(
        "package a\n\n# Why.\nx := 1\n\nf(n) if n > 2\n\nf(n) if n < 0\n\nnew := 3\n",
        "c.rego",
        "{\"a\": {\"b/c\": 2, \"d\": [1], \"e\": null}}",
    );
    let found = diff(&before, &after);
    let modules: Vec<_> = found.modules.iter().map(|module| (module.path.as_str(), module.change)).collect();
    assert_eq!(modules, [("a.rego", Change::Changed), ("b.rego", Change::Removed), ("c.rego", Change::Added)]);
    let rules: Vec<_> = found.modules[0].rules.iter().map(|rule| (rule.rule.as_str(), rule.change)).collect();
    let expected = [("data.a.f", Change::Changed), ("data.a.gone", Change::Removed), ("data.a.new", Change::Added)];
    assert_eq!(rules, expected);
    assert_eq!(found.modules[0].rules[0].after, "f(n) if n > 2\n\nf(n) if n < 0");
    let data: Vec<_> = found.data.iter().map(|value| (value.pointer.as_str(), value.change)).collect();
    assert_eq!(data, [("/a/b~1c", Change::Changed), ("/a/e", Change::Added)]);
    assert!(diff(&before, &before).is_empty());
}
