//! Static pages: right types, strict policy, and caches that never show an old page.

use crate::town::Town;
use std::path::PathBuf;

fn with_pages() -> (Town, PathBuf) {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "pages-{}-{}",
        std::process::id(),
        crate::town::draw()
    ));
    let put = |path: &str, text: &str| {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    put("scanner/index.html", "<!doctype html><title>Scanner</title>");
    put("scanner/sw.js", "// worker");
    put("scanner/manifest.webmanifest", "{}");
    put("scanner/assets/index-DkQ3x_9a.js", "// code");
    put("scanner/assets/conch_bg-Bv9_2kQz.wasm", "\0asm");
    put("pos/index.html", "<!doctype html><title>Till</title>");
    put("no-page/notes.txt", "x");
    (Town::open_with(&["--pages", root.to_str().unwrap()]), root)
}

#[test]
fn files_come_with_their_type_cache_and_policy() {
    let (town, root) = with_pages();
    let forever = "public, max-age=31536000, immutable";
    for (path, kind, cache) in [
        ("/scanner/", "text/html", "no-cache"),
        ("/scanner/sw.js", "text/javascript", "no-cache"),
        ("/scanner/manifest.webmanifest", "application/manifest+json", "no-cache"),
        ("/scanner/assets/index-DkQ3x_9a.js", "text/javascript", forever),
        ("/scanner/assets/conch_bg-Bv9_2kQz.wasm", "application/wasm", forever),
        ("/pages", "text/html; charset=utf-8", "no-cache"),
    ] {
        let answer = town.ask("GET", path, &[], "");
        assert_eq!(
            (answer.status, answer.header("content-type"), answer.header("cache-control")),
            (200, Some(kind), Some(cache)),
            "{path}"
        );
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'self'; script-src 'self' 'wasm-unsafe-eval';"));
        assert!(!policy.contains("unsafe-inline"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn a_packed_neighbour_is_sent_to_whoever_can_read_it() {
    let (town, root) = with_pages();
    let script = "/scanner/assets/index-DkQ3x_9a.js";
    std::fs::write(root.join("scanner/assets/index-DkQ3x_9a.js.br"), "as brotli").unwrap();
    std::fs::write(root.join("scanner/assets/index-DkQ3x_9a.js.gz"), "as gzip").unwrap();
    std::fs::write(root.join("scanner/index.html.gz"), "the page as gzip").unwrap();
    for (path, accepts, packing, body) in [
        (script, "gzip, deflate, br, zstd", Some("br"), "as brotli"),
        (script, "gzip, deflate", Some("gzip"), "as gzip"),
        (script, "identity", None, "// code"),
        (script, "br;q=0, gzip", Some("gzip"), "as gzip"),
        ("/scanner/", "gzip, br", Some("gzip"), "the page as gzip"),
        ("/scanner/sw.js", "gzip, br", None, "// worker"),
    ] {
        let answer = town.ask("GET", path, &[("accept-encoding", accepts)], "");
        let told = (answer.header("content-encoding"), answer.body.as_str(), answer.header("vary"));
        assert_eq!(told, (packing, body, Some("accept-encoding")), "{path} for {accepts}");
        let kind = if path.ends_with("js") { "text/javascript" } else { "text/html" };
        assert_eq!(answer.header("content-type"), Some(kind), "{path} for {accepts}");
        assert!(
            answer.header("content-security-policy").is_some() && answer.header("cache-control").is_some()
        );
    }
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn the_front_leads_to_the_list_of_pages() {
    let (town, root) = with_pages();
    let front = town.ask("GET", "/", &[], "");
    assert_eq!((front.status, front.header("location")), (303, Some("/pages")));
    let list = town.ask("GET", "/pages", &[], "").body;
    assert!(
        list.contains("href=\"/pos/\">Till ")
            && list.contains("href=\"/scanner/\"")
            && !list.contains("no-page")
    );
    let short = town.ask("GET", "/scanner", &[], "");
    assert_eq!((short.status, short.header("location")), (307, Some("/scanner/")));
    for (method, path, status) in [
        ("GET", "/scanner/none", 404),
        ("GET", "/../Cargo.toml", 404),
        ("GET", "/%2e%2e/data", 404),
        ("POST", "/scanner/", 405),
    ] {
        let answer = town.ask(method, path, &[], "");
        assert_eq!(answer.status, status, "{path}");
        answer.problem();
    }
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn pages_that_are_not_built_are_told_at_the_start() {
    let town = Town::open();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_city"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(town.root.join("other"))
        .arg("--pages")
        .arg(town.root.join("none"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("build them first"), "{output:?}");
}
