//! Tickets on paper: an A4 page of QR codes in HTML that needs nothing else, for a box office and for trying a gate.

use crate::letters::Place;
use crate::market::{Market, Name};
use crate::store::{self, Wanted};
use crate::ticket_code;
use crate::tickets::{code_of, issue, key, missing, plain, sql, take_back};
use city_domain::Ticket;
use qrcode::{Color, EcLevel, QrCode};
use rusqlite::Connection;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Signs of a code around which nothing may be printed (ISO 18004: four).
const QUIET: usize = 4;

/// What is to be on the sheet, and where it goes.
pub(crate) struct Wish {
    pub(crate) count: u32,
    pub(crate) class: String,
    pub(crate) market: Option<PathBuf>,
    pub(crate) samples: bool,
    pub(crate) to: PathBuf,
}

/// One ticket on the sheet.
struct Slip {
    /// What the QR code says.
    code: String,
    /// What people read below it: who it is for and the end of its number.
    label: String,
    /// What is odd about it, in both languages; ordinary tickets have no such word.
    about: Option<(&'static str, &'static str)>,
}

/// Writes the sheet and tells how many tickets it holds.
pub(crate) fn write(place: &Place, wish: &Wish) -> Result<usize, String> {
    let name = market_name(wish.market.as_deref())?;
    let mut slips = if wish.samples { sample_slips(place)? } else { Vec::new() };
    slips.extend(slips_of(place, &wish.class, wish.count)?);
    let page = page(&name, &slips)?;
    private(&wish.to, &page).map_err(|error| format!("{}: {error}", wish.to.display()))?;
    Ok(slips.len())
}

fn market_name(file: Option<&Path>) -> Result<Name, String> {
    let Some(file) = file else {
        return Ok(Name { zh_hant: "夜市".to_owned(), en: "Night market".to_owned() });
    };
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let market =
        text.and_then(|text| Market::read(&text)).map_err(|why| format!("{}: {why}", file.display()))?;
    Ok(market.name)
}

/// The oldest tickets of a class that are good, with new ones where some are missing, in the order in which they are
/// found again.
fn good_ones(place: &Place, class: &str, count: usize) -> Result<Vec<(Ticket, String)>, String> {
    let mut connection = place.write()?;
    let (number_of_key, secret) = key(&mut connection)?;
    let wanted = Wanted { class: Some(class.to_owned()), revoked: false, limit: u32::MAX };
    let good = |connection: &Connection| {
        let mut good = store::tickets(connection, &wanted).map_err(sql)?;
        good.retain(|ticket| ticket.revoked.is_none());
        good.truncate(count);
        Ok::<_, String>(good)
    };
    let mut tickets = good(&connection)?;
    let missing =
        u32::try_from(count.saturating_sub(tickets.len())).map_err(|_| "too many tickets".to_owned())?;
    if missing > 0 {
        issue(place, &plain(class.to_owned())?, missing)?;
        tickets = good(&connection)?;
    }
    let coded = tickets.into_iter().filter_map(|ticket| {
        let code = code_of(&ticket, ticket_code::number_in(&ticket.key)?, number_of_key).sign(&secret);
        Some((ticket, code))
    });
    Ok(coded.collect())
}

fn slips_of(place: &Place, class: &str, count: u32) -> Result<Vec<Slip>, String> {
    let tickets = good_ones(place, class, count as usize)?;
    Ok(tickets.into_iter().map(|(ticket, code)| Slip { label: label(&ticket), code, about: None }).collect())
}

/// The end of the number tells two slips apart.
fn label(ticket: &Ticket) -> String {
    let (_, end) = ticket.key.as_str().split_at(ticket.key.as_str().len().saturating_sub(6));
    format!("{} …{end}", ticket.class)
}

/// One of the old ticketing, one that was taken back, and one that was printed twice.
fn sample_slips(place: &Place) -> Result<Vec<Slip>, String> {
    const CLASS: &str = "sample";
    let [twice, back] = [
        ("同一張印了兩次：只有先到的能進", "printed twice: only the first one enters"),
        ("已作廢：不能進場", "taken back: may not enter"),
    ];
    let wanted = Wanted { class: Some(CLASS.to_owned()), revoked: true, limit: 1 };
    let mut revoked = store::tickets(&place.read()?, &wanted).map_err(sql)?;
    if revoked.is_empty() {
        let issued = issue(place, &plain(CLASS.to_owned())?, 1)?;
        let names: Vec<String> = issued.iter().map(|(ticket, _)| ticket.key.to_string()).collect();
        take_back(
            &mut place.write()?,
            &names,
            ("city tickets sheet", "a sample of one that was taken back"),
        )?;
        revoked.extend(issued.into_iter().map(|(ticket, _)| ticket));
    }
    let (number_of_key, secret) = key(&mut place.write()?)?;
    let mut slips = vec![Slip {
        code: OLD_TICKET.to_owned(),
        label: OLD_TICKET.to_owned(),
        about: Some(("舊票（v1）：沒有簽章，要連線查", "old ticket (v1): unsigned, the city knows")),
    }];
    for ticket in revoked {
        let number = ticket_code::number_in(&ticket.key).ok_or_else(|| missing(ticket.key.as_str()))?;
        let code = code_of(&ticket, number, number_of_key).sign(&secret);
        slips.push(Slip { label: label(&ticket), code, about: Some(back) });
    }
    for (ticket, code) in good_ones(place, CLASS, 1)? {
        let slip = || Slip { label: label(&ticket), code: code.clone(), about: Some(twice) };
        slips.extend([slip(), slip()]);
    }
    Ok(slips)
}

/// What the old ticketing printed: the ticket's bare number.
const OLD_TICKET: &str = "V1-2026-0417";

/// Writes a file for its owner alone, whole or not at all.
fn private(path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension("draft");
    let _ = std::fs::remove_file(&draft);
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&draft, path)
}

/// The page. Codes that cannot be drawn are an error: a sheet without them would go unnoticed.
fn page(market: &Name, slips: &[Slip]) -> Result<String, String> {
    let (zh, en) = (escape(&market.zh_hant), escape(&market.en));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"zh-Hant\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{zh} 票券</title>\n<style>{STYLE}</style>\n<h1>{zh} 票券 <span lang=\"en\">{en}: tickets</span></h1>\n\
         <p>票券就是這個方格，請勿外流。 <span lang=\"en\">Each square is a ticket: keep it from others.</span></p>\n<main>\n"
    );
    for slip in slips {
        let drawn = draw(&slip.code).map_err(|error| format!("a code cannot be drawn: {error}"))?;
        let about = slip.about.map_or_else(String::new, |(zh, en)| {
            format!("<strong>{} <span lang=\"en\">{}</span></strong>", escape(zh), escape(en))
        });
        let odd = if slip.about.is_some() { " class=\"odd\"" } else { "" };
        let _ = writeln!(
            page,
            "<figure{odd}>{drawn}<figcaption>{} {about}</figcaption></figure>",
            escape(&slip.label)
        );
    }
    page.push_str("</main>\n");
    Ok(page)
}

/// The code as one path: a run of dark modules is a bar of height one.
fn draw(code: &str) -> Result<String, qrcode::types::QrError> {
    let code = QrCode::with_error_correction_level(code, EcLevel::M)?;
    let (width, colours) = (code.width(), code.to_colors());
    let mut path = String::new();
    for (row, line) in colours.chunks(width).enumerate() {
        let mut column = 0;
        for run in line.chunk_by(|one, next| one == next) {
            if run.first() == Some(&Color::Dark) {
                let (x, y, length) = (column + QUIET, row + QUIET, run.len());
                let _ = write!(path, "M{x} {y}h{length}v1h-{length}z");
            }
            column += run.len();
        }
    }
    let side = width + 2 * QUIET;
    Ok(format!(
        "<svg viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"QR\"><path fill=\"#fff\" \
         d=\"M0 0h{side}v{side}h-{side}z\"/><path d=\"{path}\"/></svg>"
    ))
}

fn escape(text: &str) -> String {
    let mut safe = String::new();
    for sign in text.chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Four by five on a page of A4, each 47 mm wide: a module is then a good 0.9 mm, which phones read at arm's length.
const STYLE: &str = "
@page { size: A4; margin: 10mm }
body { margin: 0 auto; max-width: 190mm; color: #000; background: #fff; font: 9pt/1.3 system-ui, 'Noto Sans TC', 'PingFang TC', sans-serif }
h1 { margin: 0; font-size: 13pt }
h1 span { font-weight: 400 }
p { margin: 1mm 0 3mm }
main { display: grid; grid-template-columns: repeat(4, 1fr); gap: 0 }
figure { margin: 0; padding: 1mm; border: 0.2mm dashed #777; break-inside: avoid; text-align: center }
figure.odd { border: 0.6mm solid #000 }
svg { display: block; width: 100% }
figcaption { overflow-wrap: anywhere }
strong, strong span { display: block }
strong span { font-weight: 400 }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_code_takes_a_small_qr_code_in_alphanumeric_mode() {
        let code = "040H048J2CA1A5GQ30CGYDPR1WX9GRB4ENP78GRHSE3PJ3MWTJXPNXEQ6EJQ2TZ552EJPJX9BZPXXH7GJ7556PCHFX4ESS2FANH13T9QQ92FNX4WPMPGKWYTCZWY6GCNQWXAFEEWYC0G";
        let version = QrCode::with_error_correction_level(code, EcLevel::M).unwrap().version();
        assert_eq!(version, qrcode::Version::Normal(6));
        assert!(draw(code).unwrap().starts_with("<svg viewBox=\"0 0 49 49\""));
    }

    #[test]
    fn a_name_cannot_become_markup() {
        let market = Name { zh_hant: "<b>\"螺\" & 夜市</b>".to_owned(), en: "x".to_owned() };
        let page = page(&market, &[]).unwrap();
        assert!(
            page.contains("&lt;b&gt;&quot;螺&quot; &amp; 夜市&lt;/b&gt;") && !page.contains("<b>"),
            "{page}"
        );
    }
}
