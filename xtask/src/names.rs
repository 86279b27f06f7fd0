//! Module and glue call each other by name, and the names the binding gives are long and unlike each other. wasm-opt gives
//! the module short ones and says which; here the glue learns to say the same.
//!
//! Short names of two builds are alike, and functions of JavaScript take whatever they are given. So that an old module out of a
//! cache is never called by a new glue, one import carries a digest of all names: where they differ, the module does not load.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fault::Fault;
use crate::stamp::Fingerprint;

/// The pass of wasm-opt that gives the names, and prints them.
pub(crate) const PASS: &str = "--minify-imports-and-exports-and-modules";

/// Names how it is done, so that a change of it builds anew.
pub(crate) const HOW: &str = "short names, the first import with a digest of all";

/// What the pass calls every module that is imported from.
const MODULE: &str = "a";
/// The number of a module's section of imports (WebAssembly Core 2.0, 5.5.5).
const IMPORTS: u8 = 2;
/// Magic and version, before the first section.
const HEAD_BYTES: usize = 8;
/// The glue's variable that holds what the module exports.
const EXPORTS: &str = "wasm.";

/// Glue and module with the names that `said`, wasm-opt's words, gives to imports and exports. A fault if any of them is not
/// found in the glue, or is found where none is expected: a module that calls in vain must not be built.
pub(crate) fn shorten(glue: &str, module: &[u8], said: &str) -> Result<(String, Vec<u8>), Fault> {
    let not_read = |what: &str| {
        Fault::advice(format!(
            "wasm-opt's {PASS} gives another {what} than it used to: see its release notes"
        ))
    };
    let mut names = Names::read(said).ok_or_else(|| not_read("list of names"))?;
    let digest = Fingerprint::default().word(said).text();
    let (module, first) = sealed(module, &digest).ok_or_else(|| not_read("first import"))?;
    for short in names.imports.values_mut().filter(|short| **short == first) {
        *short = format!("{first}_{digest}");
    }
    Ok((renamed_glue(glue, &names)?, module))
}

fn renamed_glue(glue: &str, names: &Names) -> Result<String, Fault> {
    let (mut text, mut imported) = (String::with_capacity(glue.len()), 0);
    let mut rest = glue;
    while let Some(start) = rest.find(is_of_a_name) {
        let (between, from) = rest.split_at(start);
        let (name, after) = from.split_at(from.find(|c| !is_of_a_name(c)).unwrap_or(from.len()));
        text.push_str(between);
        if text.ends_with(EXPORTS) {
            let short = names.exports.get(name).ok_or_else(|| strange("calls", name))?;
            text.push_str(short);
        } else if let Some(short) = names.imports.get(name).filter(|_| after.starts_with(": ")) {
            text.push_str(short);
            imported += 1;
        } else {
            text.push_str(name);
        }
        rest = after;
    }
    text.push_str(rest);
    if imported != names.imports.len() {
        let (wanted, unlike) = (names.imports.len(), "see how wasm-bindgen writes its glue now");
        return Err(Fault::advice(format!(
            "the glue has {imported} of the module's {wanted} imports: {unlike}"
        )));
    }
    let long = format!("\"{}\": ", names.module);
    if text.matches(&long).count() != 1 {
        return Err(strange("does not give, or twice, the module", &names.module));
    }
    Ok(text.replace(&long, &format!("\"{MODULE}\": ")))
}

/// The module with a digest in the name of its first import, and that name as it was; `None` if it has none, or another module's.
fn sealed(module: &[u8], digest: &str) -> Option<(Vec<u8>, String)> {
    let mut at = HEAD_BYTES;
    loop {
        let (number, rest) = module.get(at..)?.split_first()?;
        let (length, rest) = leb128(rest)?;
        let (section, behind) = rest.split_at_checked(length)?;
        if *number == IMPORTS {
            let (_, entries) = leb128(section)?;
            let (from, entry) = word(entries)?;
            let (name, kind) = word(entry)?;
            let before = section.get(..section.len() - entry.len()).filter(|_| from == MODULE)?;
            let long = format!("{name}_{digest}");
            let section = [before, &as_leb128(long.len()), long.as_bytes(), kind].concat();
            let module = [module.get(..=at)?, &as_leb128(section.len()), &section, behind].concat();
            return Some((module, name.to_owned()));
        }
        at = module.len() - behind.len();
    }
}

/// A name as modules write it (5.2.4), and what stands behind it.
fn word(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = leb128(bytes)?;
    let (word, behind) = rest.split_at_checked(length)?;
    Some((str::from_utf8(word).ok()?, behind))
}

/// An unsigned number as modules write it (5.2.2), and what stands behind it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

fn as_leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

fn strange(how: &str, name: &str) -> Fault {
    Fault::advice(format!(
        "the glue {how} `{name}`, unlike the module: see how wasm-bindgen writes its glue now"
    ))
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// What was called how, and what it is called now.
struct Names {
    /// The one the glue is to the module.
    module: String,
    imports: BTreeMap<String, String>,
    exports: BTreeMap<String, String>,
}

impl Names {
    fn read(said: &str) -> Option<Self> {
        let said: Value = serde_json::from_str(said).ok()?;
        let list = |name: &str| said.get(name).cloned();
        let imports: Vec<(String, String, String)> = serde_json::from_value(list("imports")?).ok()?;
        let exports: Vec<(String, String)> = serde_json::from_value(list("exports")?).ok()?;
        Some(Self {
            module: imports.first()?.0.clone(),
            imports: imports.into_iter().map(|(_, name, short)| (name, short)).collect(),
            exports: exports.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What wasm-opt says of a module with two imports and two exports.
    const SAID: &str = r#"{
        "imports": [["./conch_bg.js", "__wbg_get_12ab", "a"], ["./conch_bg.js", "__wbg_set_12ab", "b"]],
        "exports": [["memory", "c"], ["faulted", "a"]]
    }"#;
    const GLUE: &str = r#"
        export function faulted() { return wasm.faulted() !== 0; }
        const import0 = {
            __wbg_get_12ab: function(arg0) { return arg0[get(wasm.memory.buffer)]; },
            __wbg_set_12ab: function(arg0) { faulted(arg0); },
        };
        return { "./conch_bg.js": import0 };
    "#;

    /// A module with a section of types and one of imports, `count` functions of the module `a`.
    fn module(names: &[&str]) -> Vec<u8> {
        let mut imports = vec![u8::try_from(names.len()).unwrap()];
        for name in names {
            imports.extend([1, b'a', u8::try_from(name.len()).unwrap()]);
            imports.extend(name.bytes());
            imports.extend([0, 0]);
        }
        let length = as_leb128(imports.len());
        [b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02".as_slice(), &length, &imports].concat()
    }

    #[test]
    fn the_glue_says_the_names_of_the_module() {
        let (short, sealed) = shorten(GLUE, &module(&["a", "b"]), SAID).unwrap();
        let digest = Fingerprint::default().word(SAID).text();
        assert_eq!(sealed, module(&[&format!("a_{digest}"), "b"]));
        let expected = r#"
        export function faulted() { return wasm.a() !== 0; }
        const import0 = {
            a: function(arg0) { return arg0[get(wasm.c.buffer)]; },
            b: function(arg0) { faulted(arg0); },
        };
        return { "a": import0 };
    "#;
        assert_eq!(
            short,
            expected.replace("            a: function", &format!("            a_{digest}: function"))
        );
    }

    #[test]
    fn a_module_of_other_names_does_not_load() {
        let (glue, _) = shorten(GLUE, &module(&["a", "b"]), SAID).unwrap();
        let (_, other) = shorten(
            &GLUE.replace("__wbg_get_12ab", "__wbg_get_34cd"),
            &module(&["a", "b"]),
            &SAID.replace("__wbg_get_12ab", "__wbg_get_34cd"),
        )
        .unwrap();
        let name = String::from_utf8(other[20..38].to_vec()).unwrap();
        assert!(name.starts_with("a_"), "{name}");
        assert!(!glue.contains(&name));
    }

    #[test]
    fn a_section_may_grow_over_the_length_that_one_byte_tells() {
        let names: Vec<_> = (0..22).map(|number| format!("n{number:02}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        let before = module(&names);
        names[0] = "n00_0123456789abcdef";
        assert_eq!(sealed(&before, "0123456789abcdef").unwrap(), (module(&names), "n00".to_owned()));
        assert_eq!(sealed(&before[..12], "0123456789abcdef"), None);
    }

    #[test]
    fn glue_of_another_module_is_a_fault() {
        let lacks = |glue: &str| shorten(glue, &module(&["a", "b"]), SAID).unwrap_err().to_string();
        assert!(
            lacks(&GLUE.replace("__wbg_get_12ab", "__wbg_get_34cd")).contains("1 of the module's 2 imports")
        );
        assert!(lacks(&GLUE.replace("wasm.memory", "wasm.table")).contains("calls `table`"));
        assert!(lacks(&GLUE.replace("./conch_bg.js", "wbg")).contains("./conch_bg.js"));
    }

    #[test]
    fn other_words_of_wasm_opt_are_a_fault() {
        for said in ["", "{}", r#"{"imports": [["a", "b"]], "exports": []}"#] {
            assert!(shorten(GLUE, &module(&["a"]), said).unwrap_err().to_string().contains("wasm-opt"));
        }
    }
}
