//! Civic cases over time, and the public form: which case a report belongs to, and when it is late.
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use city_domain::bus::{PARTITIONS, Turn, relay, take_up, tick};
use city_domain::{Case, CaseState, City, Civic, Filed, Form, FormProblem, Memory, Rules, Tx, file_form};
use conch::event::json::Json;
use conch::event::{EventId, EventType, Key, Topic, UnixMillis};
use conch::pace::Jitter;

const START: UnixMillis = UnixMillis(1_790_000_000_000);
const MINUTE: u64 = 60_000;

struct Desk {
    memory: Memory,
    civic: Civic,
    city: City,
    now: UnixMillis,
    jitter: Jitter,
    minted: u64,
}

fn desk() -> Desk {
    let rules = r#"[{"kind":"lost_child","unit":"security","withinMinutes":5},
        {"kind":"noise","unit":"patrol","withinMinutes":60,"resolveWithinMinutes":30},
        {"kind":"other","unit":"office","withinMinutes":240}]"#;
    Desk {
        memory: Memory::default(),
        civic: Civic { rules: Rules::read(rules).unwrap() },
        city: City { id: EventId::mint(START, [9; 10]) },
        now: START,
        jitter: Jitter::new(7),
        minted: 0,
    }
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

impl Desk {
    fn entropy(&mut self) -> impl FnMut() -> [u8; 10] + use<> {
        self.minted += 1_000;
        let mut drawn = self.minted;
        move || {
            drawn += 1;
            let mut bytes = [0; 10];
            bytes[..8].copy_from_slice(&drawn.to_le_bytes());
            bytes
        }
    }

    /// Lets everything happen that is due by now.
    fn work(&mut self) {
        let mut entropy = self.entropy();
        let mut turn = Turn::new(&self.city, self.now, &mut entropy, &mut self.jitter);
        for partition in 0..PARTITIONS {
            relay(&mut self.memory, partition, 100, turn.now).unwrap();
            take_up(&mut self.memory, &self.civic, partition, 100, &mut turn).unwrap();
        }
        tick(&mut self.memory, &self.civic, 100, &mut turn).unwrap();
        for partition in 0..PARTITIONS {
            relay(&mut self.memory, partition, 100, turn.now).unwrap();
        }
        assert!(turn.troubles.is_empty(), "{:?}", turn.troubles);
    }

    fn pass(&mut self, minutes: u64) {
        self.now = UnixMillis(self.now.0 + minutes * MINUTE);
        self.work();
    }

    /// A device says something about a case.
    fn say(&mut self, kind: &str, case: &str, data: &str) {
        let id = EventId::mint(self.now, self.entropy()());
        let source = "conch://device/gate-1/life";
        let body = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"{source}","type":"civic.events.v1.{kind}","partitionkey":"{case}","data":{data}}}"#
        );
        let message = city_domain::bus::Message {
            source: source.to_owned(),
            id,
            topic: Topic::parse("civic.events.v1").unwrap(),
            kind: EventType::parse(kind).unwrap(),
            key: key(case),
            body,
        };
        self.memory.put_outgoing(&message).unwrap();
        self.work();
    }

    fn try_file(&mut self, form: &Form, asker: Option<(&str, &str)>) -> Result<Filed, FormProblem> {
        let mut entropy = self.entropy();
        file_form(&mut self.memory, (&self.city, &self.civic.rules), form, asker, self.now, &mut entropy)
            .unwrap()
    }

    fn file(&mut self, kind: &str, place: &str) -> Filed {
        self.try_file(&Form::read(kind, place, None, None).unwrap(), None).unwrap()
    }

    fn case(&mut self, key: &Key) -> Case {
        self.memory.case(key).unwrap().unwrap()
    }

    /// The payloads of a type on the log.
    fn said(&self, topic: &str, kind: &str) -> Vec<Json> {
        let own = self.memory.log().filter(|said| said.topic.as_str() == topic && said.kind.as_str() == kind);
        own.map(|said| Json::parse(&said.body).unwrap().get("data").unwrap().clone()).collect()
    }

    fn alerts(&self) -> (usize, usize) {
        (self.said("ops.alerts.v1", "raised").len(), self.said("ops.alerts.v1", "cleared").len())
    }

    /// The kind and place a device heard last.
    fn heard(&self) -> (String, String, String) {
        let feed = self.memory.feed(&conch::event::Device::parse("gate-1").unwrap());
        let data = Json::parse(&feed.last().unwrap().body).unwrap().get("data").unwrap().clone();
        let text = |name: &str| data.text(name).unwrap().to_owned();
        (text("kind"), text("place"), text("unit"))
    }
}

fn words(kind: &str, place: &str, unit: &str) -> (String, String, String) {
    (kind.to_owned(), place.to_owned(), unit.to_owned())
}

#[test]
fn reports_of_one_kind_and_place_are_one_case_while_it_is_open() {
    let mut desk = desk();
    let first = desk.file("noise", "Row 5, stall 2");
    let before_the_service_saw_it = desk.file("Noise", "row 5 stall 2");
    desk.work();
    let after = desk.file("noise", "ROW 5 / STALL 2");
    desk.work();
    assert_eq!((first.known, before_the_service_saw_it.known, after.known), (false, true, true));
    assert_eq!([&before_the_service_saw_it.case, &after.case], [&first.case, &first.case]);
    assert_eq!((desk.case(&first.case).reports, first.unit.as_str()), (3, "patrol"));
    assert_ne!(desk.file("noise", "Row 6").case, first.case);
    assert_ne!(desk.file("lost_child", "Row 5, stall 2").case, first.case);
    desk.say("resolved", first.case.as_str(), "{}");
    let again = desk.file("noise", "Row 5, stall 2");
    assert!(again.case != first.case && !again.known, "what is over is not reported again");
}

#[test]
fn a_form_joins_the_case_a_device_opened_and_a_device_keeps_its_key() {
    let mut desk = desk();
    desk.say("reported", "case-1", r#"{"kind":"noise","place":"N3"}"#);
    assert_eq!(desk.file("noise", "n3").case, key("case-1"));
    desk.say("reported", "case-2", r#"{"kind":"noise","place":"N3"}"#);
    assert_eq!(desk.memory.cases().count(), 2, "devices name their own cases");
    assert_eq!(desk.file("noise", "N3").case, key("case-1"), "the one that was there first");
    desk.say("resolved", "case-1", "{}");
    desk.say("reported", "case-3", r#"{"kind":"noise","place":"N3"}"#);
    assert_eq!(desk.file("noise", "N3").case, key("case-3"));
}

#[test]
fn the_same_key_from_the_same_address_gets_the_same_answer() {
    let mut desk = desk();
    let form = Form::read("noise", "N3", None, None).unwrap();
    let first = desk.try_file(&form, Some(("10.0.0.1", "k"))).unwrap();
    desk.work();
    let again = desk.try_file(&form, Some(("10.0.0.1", "k"))).unwrap();
    assert_eq!(again, Filed { replayed: true, ..first.clone() });
    desk.work();
    assert_eq!(desk.case(&first.case).reports, 1, "a replay is no report");
    let other = Form::read("noise", "N4", None, None).unwrap();
    assert_eq!(desk.try_file(&other, Some(("10.0.0.1", "k"))), Err(FormProblem::KeyReused));
    assert!(!desk.try_file(&other, Some(("10.0.0.2", "k"))).unwrap().replayed, "another address");
}

#[test]
fn nothing_personal_of_a_form_goes_onto_the_bus_and_a_contact_is_kept_until_the_case_is_over() {
    let mut desk = desk();
    let form = Form::read("noise", "N3", Some("call 0912345678"), Some("ann, 0987654321")).unwrap();
    let filed = desk.try_file(&form, None).unwrap();
    desk.work();
    for said in desk.memory.log() {
        assert!(!said.body.contains("0912345678") && !said.body.contains("0987654321"), "{}", said.body);
    }
    let reported = desk.said("civic.events.v1", "reported");
    assert_eq!(reported.first().unwrap().text("note"), Some("call [phone]"));
    assert_eq!(desk.memory.contacts(&filed.case), ["ann, 0987654321"]);
    desk.say("resolved", filed.case.as_str(), "{}");
    assert!(desk.memory.contacts(&filed.case).is_empty());
}

#[test]
fn an_acknowledged_case_that_is_not_over_in_time_is_told_once_and_cleared_when_it_is() {
    let mut desk = desk();
    desk.say("reported", "case-1", r#"{"kind":"noise","place":"N3"}"#);
    desk.pass(61);
    assert_eq!(desk.alerts(), (1, 0), "nobody came");
    desk.say("acknowledged", "case-1", "{}");
    assert_eq!(desk.alerts(), (1, 1));
    desk.pass(29);
    assert_eq!(desk.alerts(), (1, 1));
    desk.pass(2);
    desk.pass(200);
    assert_eq!(desk.alerts(), (2, 1), "somebody came and it is not over");
    assert_eq!(desk.said("civic.events.v1", "escalated").len(), 2);
    desk.say("resolved", "case-1", "{}");
    assert_eq!((desk.alerts(), desk.case(&key("case-1")).state), ((2, 2), CaseState::Resolved));
}

#[test]
fn without_a_second_deadline_an_acknowledged_case_takes_as_long_as_it_takes() {
    let mut desk = desk();
    desk.say("reported", "case-1", r#"{"kind":"lost_child","place":"N3"}"#);
    desk.say("acknowledged", "case-1", "{}");
    desk.pass(10_000);
    assert_eq!(desk.alerts(), (0, 0));
}

#[test]
fn what_is_more_urgent_takes_a_case_over_and_what_is_less_does_not() {
    let mut desk = desk();
    desk.say("reported", "case-1", r#"{"kind":"noise","place":"N3"}"#);
    desk.say("acknowledged", "case-1", "{}");
    desk.say("reported", "case-1", r#"{"kind":"lost_child","place":"N9"}"#);
    let case = desk.case(&key("case-1"));
    assert_eq!(
        (case.kind.as_str(), case.place.as_str(), case.unit.as_str(), case.state),
        ("lost_child", "N9", "security", CaseState::Routed)
    );
    assert_eq!((case.due.0 - desk.now.0, case.reports), (5 * MINUTE, 2));
    assert_eq!(desk.heard(), words("lost_child", "N9", "security"));
    desk.say("reported", "case-1", r#"{"kind":"noise","place":"N1"}"#);
    assert_eq!(desk.heard(), words("noise", "N1", "security"), "one's own words, and who cares for the case");
    assert_eq!(desk.case(&key("case-1")).kind, "lost_child");
}

#[test]
fn an_overdue_alert_holds_no_personal_data() {
    let mut desk = desk();
    desk.say("reported", "case-1", r#"{"kind":"noise","place":"ask 0912345678"}"#);
    desk.pass(61);
    let raised = desk.said("ops.alerts.v1", "raised");
    assert_eq!(raised.first().unwrap().text("place"), Some("ask [phone]"));
}

#[test]
fn a_kind_is_known_however_it_was_written() {
    let mut desk = desk();
    for (case, kind) in [("case-1", "Lost_Child"), ("case-2", "lost child"), ("case-3", "LOST-CHILD")] {
        desk.say("reported", case, &format!(r#"{{"kind":"{kind}","place":"N3"}}"#));
        assert_eq!(desk.case(&key(case)).unit, "security", "{kind}");
    }
    assert_eq!(desk.file("Lost child", "N7").unit, "security");
    let twice = r#"[{"kind":"lost_child","unit":"a","withinMinutes":1},{"kind":"Lost child","unit":"b","withinMinutes":1},
        {"kind":"other","unit":"c","withinMinutes":1}]"#;
    assert!(Rules::read(twice).unwrap_err().contains("another rule"));
}

#[test]
fn what_is_more_urgent_is_told_when_it_is_late_although_the_case_was_late_before() {
    let mut desk = desk();
    desk.say("reported", "case-1", r#"{"kind":"noise","place":"N3"}"#);
    desk.pass(61);
    assert_eq!(desk.alerts(), (1, 0));
    desk.say("reported", "case-1", r#"{"kind":"lost_child","place":"N3"}"#);
    desk.pass(6);
    desk.pass(600);
    let raised = desk.said("ops.alerts.v1", "raised");
    let kinds: Vec<_> = raised.iter().map(|data| data.text("kind").unwrap().to_owned()).collect();
    assert_eq!(kinds, ["noise", "lost_child"], "the urgent does not hide behind the harmless");
    desk.say("acknowledged", "case-1", "{}");
    assert_eq!(desk.alerts(), (2, 2), "what was raised is cleared");
}

#[test]
fn an_alert_of_a_case_that_became_more_urgent_is_cleared_also_when_somebody_comes_in_time() {
    let mut desk = desk();
    desk.say("reported", "case-1", r#"{"kind":"noise","place":"N3"}"#);
    desk.pass(61);
    desk.say("reported", "case-1", r#"{"kind":"lost_child","place":"N3"}"#);
    desk.say("acknowledged", "case-1", "{}");
    desk.pass(600);
    assert_eq!(desk.alerts(), (1, 1));
}

#[test]
fn a_case_that_became_another_takes_no_more_reports_of_what_it_was() {
    let mut desk = desk();
    desk.say("reported", "case-1", r#"{"kind":"noise","place":"N3"}"#);
    desk.say("reported", "case-1", r#"{"kind":"lost_child","place":"N9"}"#);
    let noise = desk.file("noise", "N3");
    desk.work();
    assert!(noise.case != key("case-1") && !noise.known && noise.unit == "patrol", "{noise:?}");
    assert_eq!(desk.case(&noise.case).kind, "noise");
    assert_eq!(desk.file("lost_child", "N9").case, key("case-1"));
    assert_eq!(desk.file("noise", "N3").case, noise.case);
}

#[test]
fn places_that_differ_by_a_sign_are_two_cases() {
    let mut desk = desk();
    for (one, other) in [
        ("Floor 1", "Floor -1"),
        ("Floor 1", "Floor −1"),
        ("Stall 🍜", "Stall 🍺"),
        ("Row A+", "Row A"),
        ("ส้ม 1", "สม 1"),
    ] {
        let (one, other) = (desk.file("noise", one).case, desk.file("noise", other).case);
        assert_ne!(one, other);
    }
    for (one, other) in [
        ("Row 5 - stall 2", "row 5, stall 2"),
        ("N\u{200b}3", "N3"),
        ("N3.", "n3"),
        ("N3（東）", "N3 (東)"),
        ("A・B", "A B"),
    ] {
        let (one, other) = (desk.file("music", one).case, desk.file("music", other).case);
        assert_eq!(one, other);
    }
}

#[test]
fn what_cannot_be_seen_is_no_place() {
    for place in ["\u{200b}", "\u{202e}\u{2066}", "\u{0}", "\u{feff}"] {
        assert_eq!(
            Form::read("noise", place, None, None),
            Err(FormProblem::Member("place", 64)),
            "{place:?}"
        );
    }
    let form = |place| Form::read("noise", place, Some("a\u{7}b"), None).unwrap();
    let masked = Form::read("noise", "N3", Some("０９１２３４５６７８, 09\u{200b}12345678"), None).unwrap();
    assert_eq!(masked, Form::read("noise", "N3", Some("[phone], [phone]"), None).unwrap());
    assert_eq!(form("N\u{202e}3"), Form::read("noise", "N3", Some("ab"), None).unwrap());
}

#[test]
fn a_contact_that_was_corrected_under_the_same_key_is_kept() {
    let mut desk = desk();
    let form = |contact| Form::read("noise", "N3", None, Some(contact)).unwrap();
    let first = desk.try_file(&form("ann, 091"), Some(("10.0.0.1", "k"))).unwrap();
    desk.work();
    assert!(desk.try_file(&form("ann, 0912345678"), Some(("10.0.0.1", "k"))).unwrap().replayed);
    assert_eq!(desk.memory.contacts(&first.case), ["ann, 091", "ann, 0912345678"]);
    desk.say("resolved", first.case.as_str(), "{}");
    desk.try_file(&form("ann"), Some(("10.0.0.1", "k"))).unwrap();
    assert!(desk.memory.contacts(&first.case).is_empty(), "nobody has to be called any more");
}

#[test]
fn a_form_of_the_longest_texts_in_any_script_is_taken() {
    let mut desk = desk();
    for sign in ["x", "夜", "🍜", "ß", "İ"] {
        let kind = Form::read(&sign.repeat(20), &sign.repeat(64), Some(&sign.repeat(500)), None).unwrap();
        let filed = desk.try_file(&kind, None).unwrap();
        desk.work();
        assert_eq!(desk.case(&filed.case).place, sign.repeat(64));
        desk.pass(241);
    }
    assert_eq!(desk.alerts().0, 5);
}

#[test]
fn a_case_that_begins_again_is_late_once_again() {
    let mut desk = desk();
    desk.say("reported", "case-1", r#"{"kind":"noise","place":"N3"}"#);
    desk.pass(61);
    desk.say("resolved", "case-1", "{}");
    assert_eq!(desk.alerts(), (1, 1));
    desk.say("reported", "case-1", r#"{"kind":"noise","place":"N3"}"#);
    desk.pass(61);
    desk.pass(600);
    assert_eq!(desk.alerts(), (2, 1));
}
