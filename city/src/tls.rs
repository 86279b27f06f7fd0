//! The city over TLS: with a certificate the operator brings, or with one of its own making.
//!
//! A phone gives camera, locks and service workers only to a page it trusts, so a market on a LAN needs TLS. The city
//! can make an **authority** of its own, which a person installs on a phone once, and below it a certificate for the
//! names it is reached by. The authority may speak for private addresses, `.local` names and those names alone, so that
//! whoever gets hold of its key cannot pass for the rest of the world. Both lie in the data directory, readable by their
//! owner only, and are made anew when they run out or the names change.

use conch::event::UnixMillis;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, Error, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use std::fs::{self, File};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const DAY_MS: u64 = 24 * 3_600_000;
/// How long an authority lives: phones refuse certificates below it that live longer than 825 days.
const AUTHORITY_LIFE_MS: u64 = 820 * DAY_MS;
/// How long a certificate lives: what browsers take of any.
const CERTIFICATE_LIFE_MS: u64 = 390 * DAY_MS;
/// What has less left is made anew, so that an evening never runs out of it.
const RENEW_BEFORE_MS: u64 = 30 * DAY_MS;
/// A phone's clock may be behind by so much.
const BACKDATED_MS: u64 = DAY_MS;
/// How many names one city answers to.
const NAMES_MAX: usize = 20;
/// Where any certificate of ours may be used, besides the names it was made for.
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];
/// Names that no one can own in the world's directory.
const LOCAL: [&str; 3] = ["localhost", "local", "home.arpa"];
/// Always among the names: the machine itself.
const SELF: [&str; 2] = ["localhost", "127.0.0.1"];

/// What the city is reached by: addresses, and names of its own network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names(Vec<String>);

impl std::str::FromStr for Names {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut names: Vec<String> = SELF.map(str::to_owned).to_vec();
        for name in text.split(',').map(str::trim) {
            let name = name.to_ascii_lowercase();
            let local = |end: &&str| name == **end || name.ends_with(&format!(".{end}"));
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
            if name.parse::<IpAddr>().is_err() && !(plain && LOCAL.iter().any(local)) {
                return Err(format!("`{name}` is no address and no name that ends in .local"));
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.sort_unstable();
        if names.len() > NAMES_MAX { Err(format!("at most {NAMES_MAX} names")) } else { Ok(Self(names)) }
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// What a listening city needs.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    /// The authority's certificate for phones to install, when it is of our making.
    pub(crate) authority: Option<Vec<u8>>,
}

/// With the operator's own files in PEM: the certificate first, then those that lead to its authority.
pub(crate) fn of_files(certificate: &Path, key: &Path) -> Result<Tls, String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let acceptor = acceptor(&read(certificate)?, &read(key)?)?;
    Ok(Tls { acceptor, authority: None })
}

/// With a certificate for these names below an authority of our own, both kept in `folder`.
pub(crate) fn self_made(folder: &Path, names: &Names, now: UnixMillis) -> Result<Tls, String> {
    let io = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(io)?;
    let (own, below) = (folder.join("authority.pem"), folder.join("city.pem"));
    let strangers: Vec<String> = names.0.iter().filter(|name| !is_private(name)).cloned().collect();
    let authority = match Kept::read(&own).filter(|kept| kept.holds(now) && kept.covers(&strangers)) {
        Some(kept) => kept,
        None => {
            // What was made below another authority is of no use any more.
            let _ = fs::remove_file(&below);
            Kept::authority(strangers, now)?.write(&own).map_err(io)?
        }
    };
    let city = match Kept::read(&below).filter(|kept| kept.holds(now) && kept.names == names.0) {
        Some(kept) => kept,
        None => Kept::below(&authority, names, now)?.write(&below).map_err(io)?,
    };
    let whole = format!("{}{}", city.certificate, authority.certificate);
    let der = CertificateDer::from_pem_slice(authority.certificate.as_bytes())
        .map_err(|error| error.to_string())?;
    Ok(Tls { acceptor: acceptor(whole.as_bytes(), city.key.as_bytes())?, authority: Some(der.to_vec()) })
}

fn acceptor(certificates: &[u8], key: &[u8]) -> Result<TlsAcceptor, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key cannot be read: {error}"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| format!("certificate and key do not fit: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn is_private(name: &str) -> bool {
    let Ok(address) = name.parse::<IpAddr>() else { return true };
    PRIVATE.iter().any(|network| network.parse::<CidrSubnet>().is_ok_and(|network| within(network, address)))
}

fn within(network: CidrSubnet, address: IpAddr) -> bool {
    match (network, address) {
        (CidrSubnet::V4(base, mask), IpAddr::V4(own)) => {
            u32::from_be_bytes(base) == u32::from(own) & u32::from_be_bytes(mask)
        }
        (CidrSubnet::V6(base, mask), IpAddr::V6(own)) => {
            u128::from_be_bytes(base) == u128::from(own) & u128::from_be_bytes(mask)
        }
        _ => false,
    }
}

/// A certificate with its key, as it lies on disk: a line that says what it is for, then both in PEM.
struct Kept {
    until: UnixMillis,
    /// Of an authority: what it speaks for besides private addresses. Of a certificate: its names.
    names: Vec<String>,
    certificate: String,
    key: String,
}

impl Kept {
    /// What lies there, if it is whole.
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let (head, rest) = text.split_once('\n')?;
        let (until, names) = head.strip_prefix("until ")?.split_once(" for ")?;
        let (certificate, key) = rest.split_at_checked(rest.find("-----BEGIN PRIVATE KEY")?)?;
        Some(Self {
            until: UnixMillis(until.parse().ok()?),
            names: names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Whole or not at all, and nobody else's to read.
    fn write(self, path: &Path) -> std::io::Result<Self> {
        let draft = path.with_extension("draft");
        let _ = fs::remove_file(&draft);
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(&draft)?;
        let head = format!("until {} for {}\n", self.until.0, self.names.join(","));
        file.write_all(format!("{head}{}{}", self.certificate, self.key).as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        Ok(self)
    }

    fn holds(&self, now: UnixMillis) -> bool {
        now.0 + RENEW_BEFORE_MS < self.until.0
    }

    fn covers(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.names.contains(name))
    }

    fn authority(names: Vec<String>, now: UnixMillis) -> Result<Self, String> {
        let key = KeyPair::generate().map_err(unmade)?;
        let mut params = signer();
        let until = dated(&mut params, now, AUTHORITY_LIFE_MS);
        let networks = PRIVATE.iter().filter_map(|network| network.parse().ok());
        let own = names.iter().filter_map(|name| name.parse::<IpAddr>().ok());
        let own = own.map(|ip| CidrSubnet::from_addr_prefix(ip, if ip.is_ipv4() { 32 } else { 128 }));
        let addresses = networks.chain(own).map(GeneralSubtree::IpAddress);
        let local = LOCAL.iter().map(|name| GeneralSubtree::DnsName((*name).to_owned()));
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: addresses.chain(local).collect(),
            excluded_subtrees: Vec::new(),
        });
        let certificate = params.self_signed(&key).map_err(unmade)?.pem();
        Ok(Self { until, names, certificate, key: key.serialize_pem() })
    }

    fn below(authority: &Self, names: &Names, now: UnixMillis) -> Result<Self, String> {
        let signs = KeyPair::from_pem(&authority.key).map_err(unmade)?;
        let key = KeyPair::generate().map_err(unmade)?;
        let mut params = CertificateParams::new(names.0.clone()).map_err(unmade)?;
        params.distinguished_name.push(DnType::CommonName, "Conch city");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let life = CERTIFICATE_LIFE_MS.min(authority.until.0.saturating_sub(now.0));
        let until = dated(&mut params, now, life);
        let certificate = params.signed_by(&key, &Issuer::new(signer(), signs)).map_err(unmade)?.pem();
        Ok(Self { until, names: names.0.clone(), certificate, key: key.serialize_pem() })
    }
}

/// Who signs, always under the same name.
fn signer() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Conch city on this network");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn dated(params: &mut CertificateParams, now: UnixMillis, life_ms: u64) -> UnixMillis {
    let at = |ms: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(ms / 1_000);
    let until = UnixMillis(now.0 + life_ms);
    params.not_before = at(now.0.saturating_sub(BACKDATED_MS));
    params.not_after = at(until.0);
    until
}

fn unmade(error: Error) -> String {
    format!("the certificate could not be made: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("city-tls-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn names(text: &str) -> Names {
        text.parse().unwrap()
    }

    /// Makes it, and gives both files.
    fn made(folder: &Path, text: &str, now: UnixMillis) -> (String, String) {
        self_made(folder, &names(text), now).unwrap();
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
        (read("authority.pem"), read("city.pem"))
    }

    #[test]
    fn a_certificate_is_kept_until_its_names_change_or_it_runs_out() {
        let folder = folder("kept");
        let (authority, city) = made(&folder, "192.168.1.7", NOW);
        assert_eq!(made(&folder, "192.168.1.7", NOW), (authority.clone(), city.clone()));
        let (same, moved) = made(&folder, "192.168.1.8", NOW);
        assert_eq!(same, authority, "phones need not install another one");
        assert_ne!(moved, city);
        let later = UnixMillis(NOW.0 + CERTIFICATE_LIFE_MS - RENEW_BEFORE_MS);
        let (same, renewed) = made(&folder, "192.168.1.8", later);
        assert_eq!(same, authority);
        assert_ne!(renewed, moved);
        let (other, _) = made(&folder, "192.168.1.8", UnixMillis(NOW.0 + AUTHORITY_LIFE_MS));
        assert_ne!(other, authority);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn an_address_of_the_world_needs_an_authority_that_speaks_for_it() {
        let folder = folder("world");
        let (private, _) = made(&folder, "10.0.0.7", NOW);
        let (wider, _) = made(&folder, "192.0.2.2", NOW);
        assert_ne!(private, wider);
        assert!(wider.starts_with(&format!("until {} for 192.0.2.2\n", NOW.0 + AUTHORITY_LIFE_MS)));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_keys_are_the_owners_alone_and_a_torn_file_is_made_anew() {
        let folder = folder("torn");
        made(&folder, "night.local", NOW);
        for file in ["authority.pem", "city.pem"] {
            assert_eq!(
                fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777,
                0o600,
                "{file}"
            );
        }
        fs::write(folder.join("authority.pem"), "until 9").unwrap();
        made(&folder, "night.local", NOW);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn only_addresses_and_local_names_are_taken() {
        assert_eq!(
            names("192.168.1.7, Night.local").to_string(),
            "127.0.0.1,192.168.1.7,localhost,night.local"
        );
        for text in ["example.com", "", "192.168.1", "evil.local.example", "a b.local"] {
            assert!(text.parse::<Names>().is_err(), "{text}");
        }
    }
}
