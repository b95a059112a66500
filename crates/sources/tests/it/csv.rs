//! CSV by RFC 4180.

use config::StreamColumn;
use model::{DataType, Reason};
use sources::{Decoder, Format, Limits};

use super::{column, decode, decoder, rejection, rejections, rows};

#[test]
fn the_header_names_the_fields_in_any_order() {
    let input = b"ts,ignored,metric,value\r\n17,x,\"a, \"\"b\"\"\nc\",1.5\r\n\r\n18,,,\r\n";
    let decoded = decode(Format::Csv, input);
    assert_eq!(
        rows(&decoded.batches),
        [r#"{"metric":"a, \"b\"\nc","value":1.5,"ts":17}"#, r#"{"metric":null,"value":null,"ts":18}"#]
    );
}

#[test]
fn every_type_is_read_from_text() {
    let columns: Vec<StreamColumn> = DataType::ALL.iter().map(|t| column(t.name(), *t)).collect();
    let input = concat!(
        "text,bigint,int,double,decimal,boolean,timestamp,date,bytes,text[],json\n",
        "007,007,-2.0,+1e3,+07.50,True,2023-11-14T22:13:20Z,2024-02-29,AP8=,\"[\"\"a\"\", null]\",\"{\"\"a\"\": 1}\"\n",
        "x, 1 , 2 , .5 ,1,false,1,,,,1\n",
        "x,1.5,2,1,1,false,1,,,,1\n",
        "x,1,2,1,1,maybe,1,,,,1\n",
        "x,1,2,1,1,,1,,,,{\n",
        "x,1,2,1,1.005,,1,,,,1\n",
        "x,1,2,1,1,,1,29.02.2024,,,1\n",
        "x,1,2,1,1,,1,,A,,1\n",
        "x,1,2,1,1,,1,,,a,1\n",
        "x,1,2,1,1,,1,,,[1],1\n",
    );
    let decoded = Decoder::new(&columns, None, Limits::default()).decode(Format::Csv, input.as_bytes());
    assert_eq!(
        rows(&decoded.batches),
        [concat!(
            r#"{"text":"007","bigint":7,"int":-2,"double":1000.0,"decimal":"7.50","boolean":true,"#,
            r#""timestamp":1700000000000,"date":"2024-02-29","bytes":"AP8=","text[]":["a",null],"json":{"a":1}}"#
        )]
    );
    assert_eq!(
        rejections(&decoded),
        [
            (1, Reason::WrongType, "field \"double\": expected double, found text \" .5 \""),
            (2, Reason::WrongType, "field \"bigint\": expected bigint, found number 1.5"),
            (3, Reason::WrongType, "field \"boolean\": expected boolean, found text \"maybe\""),
            (4, Reason::Malformed, "field \"json\": not JSON: it breaks off"),
            (5, Reason::OutOfRange, "field \"decimal\": 1.005 has more digits than decimal(18,2) holds"),
            (6, Reason::WrongType, "field \"date\": expected date (text like 2024-12-31), found text \"29.02.2024\""),
            (7, Reason::WrongType, "field \"bytes\": expected bytes (base64 text), found text \"A\""),
            (8, Reason::WrongType, "field \"text[]\": expected text[] (an array of texts), found text \"a\""),
            (
                9,
                Reason::WrongType,
                "field \"text[]\": expected text[] (an array of texts), found an array with number 1 in it"
            ),
        ]
    );
}

#[test]
fn a_record_of_another_length_is_refused() {
    let decoded = decode(Format::Csv, b"metric,value,ts\na,1\na,1,17,9\na,1.5,17");
    assert_eq!(
        rejections(&decoded),
        [
            (0, Reason::Malformed, "the record has 2 fields, the header names 3"),
            (1, Reason::Malformed, "the record has 4 fields, the header names 3"),
        ]
    );
    assert_eq!(decoded.accepted, 1);
    // With its header, so that it can be read again by itself.
    assert_eq!(decoded.rejected[0].letter.raw, "metric,value,ts\na,1");
    assert_eq!(decoded.rejected[0].letter.format, model::RawFormat::Csv);
}

#[test]
fn a_header_that_lacks_what_records_need_refuses_the_input() {
    let decoded = decode(Format::Csv, b"metric,value\na,1\n");
    let expected = "the header line lacks \"ts\", which every record needs; it names metric, value";
    assert_eq!((rejection(&decoded), decoded.total), ((Reason::Malformed, expected), 1));
    let twice = decode(Format::Csv, b"ts,ts\n1,2\n");
    assert_eq!(rejection(&twice).1, "the header line names \"ts\" twice");
    assert!(rejection(&decode(Format::Csv, b"")).1.starts_with("expected a header line"));
}

#[test]
fn a_header_given_once_serves_inputs_without_one() {
    let mut decoder = decoder();
    decoder.csv_header(b"ts,metric").expect("a header");
    for input in ["1,a\n", "2,b"] {
        assert_eq!(decoder.decode(Format::Csv, input.as_bytes()).accepted, 1);
    }
    assert!(decoder.csv_header(b"metric\n").is_err());
}

#[test]
fn a_byte_order_mark_belongs_to_the_header_alone() {
    let input = "\u{feff}\"metric\",ts,value\n\u{feff}a,1,1\n\u{feff}\"b\",2,2\n";
    let decoded = decode(Format::Csv, input.as_bytes());
    assert_eq!(
        rows(&decoded.batches),
        [
            "{\"metric\":\"\u{feff}a\",\"value\":1.0,\"ts\":1}",
            "{\"metric\":\"\u{feff}\\\"b\\\"\",\"value\":2.0,\"ts\":2}"
        ]
    );
    // Nor does the first record of an input that has no header of its own lose it.
    let mut decoder = decoder();
    decoder.csv_header(b"metric,ts,value").expect("a header");
    let decoded = decoder.decode(Format::Csv, "\u{feff}a,1,1\n".as_bytes());
    assert_eq!(rows(&decoded.batches), ["{\"metric\":\"\u{feff}a\",\"value\":1.0,\"ts\":1}"]);
}
