//! The answer to a query as the body of a response.

use std::io;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use bytes::Bytes;
use model::{Column, Schema};

use crate::{
    backend::QueryAnswer,
    encode::{
        body::{Representation, write_lines},
        csv,
        frame::{write_column_names, write_columns},
        notation::{Json, MessagePack, Notation},
    },
};

/// In a form that has an end.
pub fn body(answer: &QueryAnswer, form: Representation) -> io::Result<Bytes> {
    let mut out = Vec::new();
    match form {
        Representation::Json | Representation::EventStream => object(answer, &mut Json::new(&mut out)),
        Representation::MessagePack => object(answer, &mut MessagePack::new(&mut out)),
        Representation::Ndjson => {
            answer.batches.iter().for_each(|batch| write_lines(&answer.columns, batch, &mut out));
        }
        Representation::Csv => {
            csv::header(&answer.columns, &mut out);
            answer.batches.iter().for_each(|batch| csv::records(batch, &mut out));
        }
        Representation::Arrow => out = arrow(&answer.columns, &answer.batches).map_err(io::Error::other)?,
    }
    Ok(out.into())
}

fn object(answer: &QueryAnswer, out: &mut impl Notation) {
    out.map(4);
    write_column_names(&answer.columns, out);
    out.key("data");
    if answer.batches.is_empty() {
        // Without a batch nothing says how many columns there are.
        out.array(answer.columns.len());
        for _ in &answer.columns {
            out.array(0);
            out.end_array();
        }
        out.end_array();
    } else {
        write_columns(&answer.batches, out);
    }
    out.key("rows");
    out.integer(answer.batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64);
    out.key("truncated");
    out.boolean(answer.truncated);
    out.end_map();
}

fn arrow(columns: &[Column], batches: &[RecordBatch]) -> Result<Vec<u8>, arrow_schema::ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &Schema::new(columns.to_vec()).to_arrow())?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.into_inner()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, StringArray};
    use model::DataType;

    use super::*;

    fn answer(batches: bool) -> QueryAnswer {
        let columns = vec![Column::new("metric", DataType::Text), Column::new("n", DataType::Double)];
        let values = RecordBatch::try_new(
            Schema::new(columns.clone()).to_arrow(),
            vec![Arc::new(StringArray::from(vec!["a", "b"])), Arc::new(Float64Array::from(vec![Some(1.5), None]))],
        );
        QueryAnswer { columns, batches: batches.then(|| values.unwrap()).into_iter().collect(), truncated: batches }
    }

    #[test]
    fn an_answer_is_written_as_documented() {
        for (form, rows, expected) in [
            (
                Representation::Json,
                true,
                r#"{"columns":[{"name":"metric","type":"text"},{"name":"n","type":"double"}],"data":[["a","b"],[1.5,null]],"rows":2,"truncated":true}"#,
            ),
            (
                Representation::Json,
                false,
                r#"{"columns":[{"name":"metric","type":"text"},{"name":"n","type":"double"}],"data":[[],[]],"rows":0,"truncated":false}"#,
            ),
            (Representation::Ndjson, true, "{\"metric\":\"a\",\"n\":1.5}\n{\"metric\":\"b\",\"n\":null}\n"),
            (Representation::Ndjson, false, ""),
            (Representation::Csv, true, "metric,n\r\na,1.5\r\nb,\r\n"),
            (Representation::Csv, false, "metric,n\r\n"),
        ] {
            assert_eq!(body(&answer(rows), form).unwrap(), expected.as_bytes(), "{form:?}");
        }
    }

    #[test]
    fn messagepack_says_what_json_says() {
        for rows in [true, false] {
            let packed = body(&answer(rows), Representation::MessagePack).unwrap();
            let found: serde_json::Value = rmp_serde::from_slice(&packed).unwrap();
            let plain = body(&answer(rows), Representation::Json).unwrap();
            assert_eq!(found, serde_json::from_slice::<serde_json::Value>(&plain).unwrap());
        }
    }
}
