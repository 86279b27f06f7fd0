//! TLS by a client that believes nothing but the city's own authority.

use crate::town::Town;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// A city behind TLS.
struct Safe {
    child: Child,
    root: PathBuf,
    /// Host and port.
    address: String,
}

impl Safe {
    fn open(root: PathBuf, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_city"));
        command
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(root.join("data"))
            .args(options);
        let log = std::fs::File::create(root.join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("city listening on https://").unwrap().to_owned();
        Self { child, root, address }
    }

    fn get(&self, path: &str, authority: &Path) -> Result<(u16, Vec<u8>), ureq::Error> {
        let pem = std::fs::read(authority).unwrap();
        let root = Certificate::from_pem(&pem).unwrap();
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).build();
        let agent: ureq::Agent =
            ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).build().into();
        let mut response = agent.get(format!("https://{}{path}", self.address)).call()?;
        Ok((response.status().as_u16(), response.body_mut().read_to_vec().unwrap()))
    }

    fn authority(&self) -> PathBuf {
        self.root.join("data/tls/authority.pem")
    }

    /// What comes back over plain TCP, as text.
    fn plain(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.replace("HOST", &self.address).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Safe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

#[test]
fn a_client_that_trusts_the_citys_authority_reaches_it_over_tls() {
    let safe = Safe::open(Town::ground(), &["--tls-self-made", "192.168.7.7,night.local"]);
    let (status, body) = safe.get("/health", &safe.authority()).unwrap();
    assert_eq!(status, 200);
    assert!(String::from_utf8(body).unwrap().contains("\"status\":\"ok\""));
    let (status, der) = safe.get("/v1/dev/certificate", &safe.authority()).unwrap();
    assert_eq!(status, 200);
    let pem = std::fs::read(safe.authority()).unwrap();
    assert_eq!(der, Certificate::from_pem(&pem).unwrap().der(), "this is what a phone installs");
    let (_, page) = safe.get("/pages", &safe.authority()).unwrap();
    assert!(String::from_utf8(page).unwrap().contains("href=\"/v1/dev/certificate\""));
}

#[test]
fn a_client_that_does_not_trust_it_gets_nothing() {
    let safe = Safe::open(Town::ground(), &["--tls-self-made", "192.168.7.7"]);
    let other = Safe::open(Town::ground(), &["--tls-self-made", "192.168.7.7"]);
    assert!(safe.get("/health", &other.authority()).is_err());
}

#[test]
fn without_tls_readers_are_led_to_it_and_nothing_else_is_taken() {
    let safe = Safe::open(Town::ground(), &["--tls-self-made", "192.168.7.7"]);
    let led = safe.plain("GET /scanner/?place=n1 HTTP/1.1\r\nhost: HOST\r\n\r\n");
    assert!(led.starts_with("HTTP/1.1 308"), "{led}");
    assert!(led.contains(&format!("location: https://{}/scanner/?place=n1\r\n", safe.address)), "{led}");
    let refused = safe.plain("POST /v1/dev/enrol HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 403") && !refused.contains("conch-city"), "{refused}");
    let nowhere = safe.plain("GET / HTTP/1.1\r\nhost: a b\r\n\r\n");
    assert!(!nowhere.contains("location:"), "{nowhere}");
    assert!(safe.get("/health", &safe.authority()).is_ok(), "it goes on");
}

#[test]
fn the_operators_own_certificate_is_spoken_and_half_of_it_is_refused() {
    let made = Safe::open(Town::ground(), &["--tls-self-made", "192.168.7.7"]);
    let root = Town::ground();
    let text = std::fs::read_to_string(made.root.join("data/tls/city.pem")).unwrap();
    let (certificate, key) = text.split_at(text.find("-----BEGIN PRIVATE KEY").unwrap());
    let (crt, pem) = (root.join("city.crt"), root.join("city.key"));
    std::fs::write(&crt, certificate).unwrap();
    std::fs::write(&pem, key).unwrap();
    let files = ["--tls-cert", crt.to_str().unwrap(), "--tls-key", pem.to_str().unwrap()];
    let own = Safe::open(root, &files);
    assert_eq!(own.get("/health", &made.authority()).unwrap().0, 200);
    assert_eq!(own.get("/v1/dev/certificate", &made.authority()).unwrap().0, 404, "no authority of ours");

    let mut half = Command::new(env!("CARGO_BIN_EXE_city"));
    half.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(own.root.join("half")).args(&files[..2]);
    let said = String::from_utf8(half.output().unwrap().stderr).unwrap();
    assert!(said.contains("--tls-cert and --tls-key go together"), "{said}");
}
