//! The static pages, and every address that is nothing else.

use super::App;
use super::problem::Trouble;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use std::path::Path;
use std::sync::Arc;
use tower::ServiceExt;
use tower_http::services::ServeDir;

/// Nothing from elsewhere, nothing inline; wasm may be compiled, the camera's picture and made images shown.
const CSP: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; \
    manifest-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// For a phone that met the warning.
const TRUST: &str = "<hr><h3>這支手機顯示「不安全」？ <span lang=\"en\">Does this phone warn you?</span></h3>\
    <p>要離線使用，請先安裝這個市場的憑證，再重新開啟。<p lang=\"en\">To work offline, install this city's certificate \
    first, then open the page again.<p><a href=\"/v1/dev/certificate\">安裝憑證 <span lang=\"en\">Install the \
    certificate</span></a><p>Android：設定 → 安全性 → 加密與憑證 → 安裝憑證 → CA 憑證。iPhone：設定 → 已下載描述檔 → 安裝，\
    再到 一般 → 關於本機 → 憑證信任設定 開啟。<p lang=\"en\">Android: Settings, Security, Encryption and credentials, Install \
    a certificate, CA certificate. iPhone: Settings, Profile downloaded, Install; then General, About, Certificate Trust \
    Settings.";

pub(super) async fn front() -> Redirect {
    Redirect::to("/pages")
}

pub(super) async fn index(State(app): State<Arc<App>>) -> Response {
    let pages = match &app.pages {
        Some(directory) => titled(directory).await,
        None => Vec::new(),
    };
    let links: String = pages
        .iter()
        .map(|(name, title)| format!("<h2><a href=\"/{name}/\">{title} <small>{name}</small></a></h2>"))
        .collect();
    let trust = if app.authority.is_some() { TRUST } else { "" };
    let page = format!(
        "<!doctype html><html lang=\"zh-Hant\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"dark light\"><title>Conch</title><h1>Conch</h1>{links}{trust}"
    );
    dressed(Html(page).into_response(), "/pages")
}

/// What a phone installs once, so that it trusts this city. Nothing in it is secret.
pub(super) async fn certificate(State(app): State<Arc<App>>) -> Response {
    let Some(authority) = &app.authority else {
        return Trouble::not_found("This city made no certificate").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, "application/x-x509-ca-cert"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"conch-city.crt\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, authority.clone()).into_response()
}

/// The folders that hold a page, each with its title. Only plain names, so that none needs escaping.
async fn titled(directory: &Path) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let Ok(mut entries) = tokio::fs::read_dir(directory).await else { return pages };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if let Ok(text) = tokio::fs::read_to_string(entry.path().join("index.html")).await
            && plain
        {
            pages.push((name, title_of(&text).to_owned()));
        }
    }
    pages.sort_unstable();
    pages
}

/// What stands between the tags, as it stands there.
fn title_of(page: &str) -> &str {
    let rest = page.split_once("<title>").map_or("", |(_, rest)| rest);
    rest.split_once('<').map_or("", |(title, _)| title)
}

pub(super) async fn any(State(app): State<Arc<App>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let api = path == "/v1" || path.starts_with("/v1/");
    let Some(directory) = app.pages.as_ref().filter(|_| !api) else {
        return Trouble::not_found("There is nothing at this address").into_response();
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Trouble::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Pages are only read")
            .header(header::ALLOW, HeaderValue::from_static("GET,HEAD"))
            .into_response();
    }
    // What the build packed is only sent; a file without such a neighbour goes as it is.
    match ServeDir::new(directory).precompressed_br().precompressed_gzip().oneshot(request).await {
        Ok(response) if response.status() == StatusCode::NOT_FOUND => {
            Trouble::not_found("There is nothing at this address").into_response()
        }
        Ok(response) => dressed(response.map(Body::new), &path),
        Err(never) => match never {},
    }
}

fn dressed(mut response: Response, path: &str) -> Response {
    let cache = if is_hashed(path) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the file's name holds a hash of its content, as the bundler names what lies in `assets`:
/// `assets/index-DkQ3x_9a.js`.
fn is_hashed(path: &str) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else { return false };
    let Some((stem, _)) = file.rsplit_once('.') else { return false };
    let hash = stem.len().checked_sub(8).and_then(|from| stem.get(from..));
    let parted = stem.len().checked_sub(9).and_then(|at| stem.as_bytes().get(at)) == Some(&b'-');
    let shaped = hash.is_some_and(|hash| {
        hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    });
    folder.ends_with("/assets") && parted && shaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_bundler_hashed_is_immutable() {
        for (path, hashed) in [
            ("/scanner/assets/index-DkQ3x_9a.js", true),
            ("/pos/assets/conch_bg-Bv9-2kQz.wasm", true),
            ("/scanner/assets/logo.svg", false),
            ("/scanner/sw.js", false),
            ("/scanner/", false),
            ("/scanner/index-DkQ3x_9a.js", false),
        ] {
            assert_eq!(is_hashed(path), hashed, "{path}");
        }
    }
}
