//! The fast scan against the careful way: the same batches and the same rejections for
//! whatever comes, in whatever order it teaches the scan.

use config::StreamColumn;
use model::DataType;
use proptest::{prelude::*, sample::select};
use sources::{Decoder, Format, Limits};

use super::column;

fn columns() -> Vec<StreamColumn> {
    let mut columns: Vec<StreamColumn> = DataType::ALL.iter().map(|t| column(t.name(), *t)).collect();
    columns.push(StreamColumn { not_null: true, ..column("must", DataType::BigInt) });
    columns
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|v| v.to_string()),
        (-3_000_000_000_i64..3_000_000_000).prop_map(|v| v.to_string()),
        any::<f64>().prop_map(|v| v.to_string()),
        r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        (-70_000_000_000_000_i64..300_000_000_000_000).prop_map(|v| v.to_string()),
        r"-?[0-9]{1,17}(\.[0-9]{1,3})?",
        r#""[+-]?[0-9]{0,17}(\.[0-9]{1,3})?""#,
        r#""[0-9]{4}-[01][0-9]-[0-3][0-9]""#,
        r#""[A-Za-z0-9+/_-]{0,9}={0,2}""#,
        r#"\[ ?("a\\n?"|null|1)?( ?,"ü"| ,null|,""){0,3} ?\]"#,
        ".{0,20}".prop_map(|v| serde_json::to_string(&v).expect("text is JSON")),
        r#"["\\/bfnrtu0-9a-fA-Fdx ]{0,12}"#.prop_map(|v| format!("\"{v}\"")),
        r"(\\u[dD][89a-fA-F][0-9a-f]{2}|\\u[0-9a-f]{4}|\\n|ü){0,4}".prop_map(|v| format!("\"{v}\"")),
        select(vec![
            "null",
            "true",
            "false",
            "nul",
            "NaN",
            "01",
            "-",
            "1.",
            "[]",
            "{}",
            "[1,{\"a\":[ ]}]",
            "[1,]",
            "[}",
            "[1}",
            "{\"a\":1]",
            "[[[[1]]]]",
            "[[[[[1]]]]]",
            "[{\"a\":[{\"b\":{}}]}]",
            "{\"a\" : \"\\\"\"}",
            "{\"a\"}",
            "\"2023-11-14T22:13:20Z\"",
            "\"0000-01-01T00:00:00Z\"",
            "\"123\"",
            "-0",
            "-0.0",
        ])
        .prop_map(str::to_owned),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let mut names: Vec<String> = columns().into_iter().map(|c| c.from).collect();
    names.extend(
        ["other", "tex", "text2", "\\u0074ext", "a field of quite a long name, longer than most of them are"]
            .map(str::to_owned),
    );
    select(names)
}

/// A record in the columns' order with values that fit, as producers send them.
fn expected_record() -> impl Strategy<Value = String> {
    (
        prop_oneof!["[a-z]{0,12}", ".{0,12}"].prop_map(|v| serde_json::to_string(&v).expect("text is JSON")),
        any::<i32>(),
        -1e6..1e6_f64,
        any::<bool>(),
        0..4_000_000_000_000_i64,
        select(vec![",", ", "]),
    )
        .prop_map(|(text, int, double, boolean, ts, comma)| {
            [
                format!("{{\"text\":{text}"),
                format!("\"bigint\":{int}"),
                format!("\"int\":{int}"),
                format!("\"double\":{double}"),
                format!("\"decimal\":{int}.25"),
                format!("\"boolean\":{boolean}"),
                format!("\"timestamp\":{ts}"),
                "\"date\":\"2024-02-29\"".to_owned(),
                "\"bytes\":\"AP8=\"".to_owned(),
                format!("\"text[]\":[{text},null]"),
                format!("\"json\":[{int}, {text}]"),
                "\"must\":1}".to_owned(),
            ]
            .join(comma)
        })
}

fn any_record() -> impl Strategy<Value = String> {
    let blank = || select(vec!["", "", "", "", "", "", " ", " ", "\t", "\n", "\r"]);
    let field = (blank(), name(), blank(), blank(), value(), blank())
        .prop_map(|(a, name, b, c, value, d)| format!("{a}\"{name}\"{b}:{c}{value}{d}"));
    (prop::collection::vec(field, 0..10), any::<bool>()).prop_map(|(mut fields, must)| {
        if must {
            fields.push("\"must\":1".to_owned());
        }
        format!("{{{}}}", fields.join(","))
    })
}

/// Nested values, right and wrong, where any value is taken.
fn nested_record() -> impl Strategy<Value = String> {
    let value = || r#"[\[{]{0,5}("a":)?[1\[{]?(,"b": ?"\]")?[\]}]{0,5}"#;
    (value(), value()).prop_map(|(ignored, json)| format!("{{\"must\":1,\"other\":{ignored},\"json\":{json}}}"))
}

/// Brackets that close as they opened but for one now and then, up to one too deep.
fn balanced_record() -> impl Strategy<Value = String> {
    (prop::collection::vec(any::<bool>(), 0..7), prop::option::weighted(0.3, 0..7_usize)).prop_map(|(kinds, wrong)| {
        let mut value = "1".to_owned();
        for (depth, is_object) in kinds.into_iter().enumerate() {
            let closes_as_object = is_object != (wrong == Some(depth));
            let open = if is_object { "{\"a\":" } else { "[" };
            value = format!("{open}{value}{}", if closes_as_object { '}' } else { ']' });
        }
        format!("{{\"must\":1,\"other\":{value}}}")
    })
}

/// A record, now and then with a few bytes changed, put in or taken out.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let record =
        prop_oneof![expected_record(), any_record(), nested_record(), balanced_record()].prop_map(String::into_bytes);
    let byte = prop_oneof![select(b"{}[],:\"\\ \n\r\t0123456789.eE-+tfnu\xEF\xFF".to_vec()), any::<u8>()];
    let mutation = (any::<prop::sample::Index>(), byte, 0..3_u8);
    let mutations = prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(mutation, 1..4)];
    (record, mutations).prop_map(|(mut record, mutations)| {
        for (at, byte, kind) in mutations {
            let at = at.index(record.len().max(1));
            match kind {
                0 if at < record.len() => record[at] = byte,
                1 => record.insert(at, byte),
                _ if at < record.len() => drop(record.remove(at)),
                _ => {}
            }
        }
        record
    })
}

fn assert_same(format: Format, input: &[u8]) -> Result<(), TestCaseError> {
    let limits = Limits { max_record: 400, max_depth: 5, max_fields: 9, batch_rows: 3, max_decoded: usize::MAX };
    let mut scanning = Decoder::new(&columns(), None, limits);
    let mut careful = Decoder::new(&columns(), None, limits).without_scan();
    // Twice, for what the scan learned from the first.
    for _ in 0..2 {
        let (scanned, expected) = (scanning.decode(format, input), careful.decode(format, input));
        prop_assert_eq!(&scanned.batches, &expected.batches);
        prop_assert_eq!(&scanned.rejected, &expected.rejected);
        prop_assert_eq!((scanned.accepted, scanned.total), (expected.accepted, expected.total));
        let rows: usize = scanned.batches.iter().map(arrow_array::RecordBatch::num_rows).sum();
        prop_assert_eq!(rows as u64, scanned.accepted);
        prop_assert_eq!(scanned.rejected.len() as u64, scanned.total - scanned.accepted);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn lines_decode_the_same_both_ways(
        records in prop::collection::vec(record(), 0..8),
        end in select(vec!["\n", "\r\n", " \n"]),
    ) {
        assert_same(Format::Ndjson, &records.join(end.as_bytes()))?;
    }

    #[test]
    fn arrays_decode_the_same_both_ways(
        records in prop::collection::vec(record(), 0..6),
        comma in select(vec![",", " ,\n "]),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut body = b"[".to_vec();
        body.extend(records.join(comma.as_bytes()));
        body.push(b']');
        body.truncate(cut.map_or(body.len(), |cut| cut.index(body.len())));
        assert_same(Format::Json, &body)?;
    }

    #[test]
    fn no_bytes_stop_a_decoder(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Json, Format::Ndjson, Format::Csv, Format::MsgPack] {
            let decoded = Decoder::new(&columns(), None, Limits::default()).decode(format, &bytes);
            prop_assert_eq!(decoded.rejected.len() as u64, decoded.total - decoded.accepted);
        }
    }
}
