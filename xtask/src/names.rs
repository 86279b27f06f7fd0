//! Module and glue call each other by name, and the names the binding gives are long and unlike each other. wasm-opt gives
//! the module short ones and says which; here the glue learns to say the same.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fault::Fault;

/// The pass of wasm-opt that gives the names, and prints them.
pub(crate) const PASS: &str = "--minify-imports-and-exports-and-modules";

/// What the pass calls every module that is imported from.
const MODULE: &str = "a";
/// The glue's variable that holds what the module exports.
const EXPORTS: &str = "wasm.";

/// The glue with the names that `said`, wasm-opt's words, gives to imports and exports. A fault if any of them is not found in
/// it, or is found where none is expected: a module that calls in vain must not be built.
pub(crate) fn shorten(glue: &str, said: &str) -> Result<String, Fault> {
    let names = Names::read(said).ok_or_else(|| {
        Fault::advice(format!(
            "wasm-opt's {PASS} says something else than its list of names: see its release notes"
        ))
    })?;
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

    #[test]
    fn the_glue_says_the_names_of_the_module() {
        let short = shorten(GLUE, SAID).unwrap();
        let expected = r#"
        export function faulted() { return wasm.a() !== 0; }
        const import0 = {
            a: function(arg0) { return arg0[get(wasm.c.buffer)]; },
            b: function(arg0) { faulted(arg0); },
        };
        return { "a": import0 };
    "#;
        assert_eq!(short, expected);
    }

    #[test]
    fn glue_of_another_module_is_a_fault() {
        let lacks = |glue: &str| shorten(glue, SAID).unwrap_err().to_string();
        assert!(
            lacks(&GLUE.replace("__wbg_get_12ab", "__wbg_get_34cd")).contains("1 of the module's 2 imports")
        );
        assert!(lacks(&GLUE.replace("wasm.memory", "wasm.table")).contains("calls `table`"));
        assert!(lacks(&GLUE.replace("./conch_bg.js", "wbg")).contains("./conch_bg.js"));
    }

    #[test]
    fn other_words_of_wasm_opt_are_a_fault() {
        for said in ["", "{}", r#"{"imports": [["a", "b"]], "exports": []}"#] {
            assert!(shorten(GLUE, said).unwrap_err().to_string().contains("wasm-opt"));
        }
    }
}
