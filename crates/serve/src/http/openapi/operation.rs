//! One path and method, in few words.

use std::{collections::BTreeMap, fmt::Write};

use model::Code;
use utoipa::{
    ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, HttpMethod, PathItem, RefOr, Required, ResponseBuilder, Schema,
        extensions::Extensions,
        link::LinkBuilder,
        path::{OperationBuilder, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{ObjectBuilder, Ref, Type},
    },
};

use crate::problem;

/// A schema, or where one stands.
pub type Shape = RefOr<Schema>;

/// Where the schema of a type stands.
pub fn shape<T: ToSchema>() -> Shape {
    Ref::from_schema_name(T::name()).into()
}

/// A text.
pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A path and method that is being described.
pub struct Operation {
    method: HttpMethod,
    builder: OperationBuilder,
    refused: Vec<Code>,
    /// Whether the page says itself that something is not there.
    has_page: bool,
}

impl Operation {
    /// What is read with `GET`.
    pub fn get(id: &str, tag: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Get, id, tag, summary)
    }

    /// What is written with `POST`.
    pub fn post(id: &str, tag: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Post, id, tag, summary)
    }

    fn new(method: HttpMethod, id: &str, tag: &str, summary: &str) -> Self {
        let builder = OperationBuilder::new().operation_id(Some(id)).tag(tag).summary(Some(summary));
        // Any path may be asked for by a foreign host, or too often.
        Self { method, builder, refused: vec![Code::ForbiddenOrigin, Code::LimitReached], has_page: false }
    }

    /// What is not said by the rest.
    pub fn about(mut self, description: &str) -> Self {
        self.builder = self.builder.description(Some(description));
        self
    }

    /// A part of the path.
    pub fn path(mut self, name: &str, about: &str) -> Self {
        // A part that is no UTF-8.
        self.refused.push(Code::BadRequest);
        self.parameter(name, ParameterIn::Path, text().min_length(Some(1)).into(), about)
    }

    /// A parameter behind the question mark.
    pub fn query(self, name: &str, schema: impl Into<Shape>, about: &str) -> Self {
        self.parameter(name, ParameterIn::Query, schema.into(), about)
    }

    /// A header.
    pub fn header(self, name: &str, schema: impl Into<Shape>, about: &str) -> Self {
        self.parameter(name, ParameterIn::Header, schema.into(), about)
    }

    fn parameter(mut self, name: &str, place: ParameterIn, schema: Shape, about: &str) -> Self {
        let required = if matches!(place, ParameterIn::Path) { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
        self.builder = self.builder.parameter(parameter.schema(Some(schema)).description(Some(about)));
        self
    }

    /// A body in one of these media types.
    pub fn takes(mut self, about: &str, forms: impl IntoIterator<Item = (&'static str, Shape)>) -> Self {
        let body = RequestBodyBuilder::new().description(Some(about)).required(Some(Required::True));
        let body = forms.into_iter().fold(body, |body, (media, schema)| {
            body.content(media, ContentBuilder::new().schema(Some(schema)).build())
        });
        self.builder = self.builder.request_body(Some(body.build()));
        self
    }

    /// An answer that is no error.
    pub fn answers(mut self, status: u16, answer: Answer) -> Self {
        self.builder = self.builder.response(status.to_string(), answer.0);
        self
    }

    /// An answer in JSON.
    pub fn answers_json<T: ToSchema>(self, status: u16, about: &str) -> Self {
        self.answers(status, Answer::new(about).json::<T>()).refuses(&[Code::Internal])
    }

    /// Errors.
    pub fn refuses(mut self, codes: &[Code]) -> Self {
        self.refused.extend(codes);
        self
    }

    /// What is not there may be answered by the page as well.
    pub fn or_page(mut self) -> Self {
        self.has_page = true;
        self
    }

    /// The entry of the document.
    pub fn done(self) -> PathItem {
        let mut by_status = BTreeMap::<u16, Vec<Code>>::new();
        for code in self.refused {
            let codes = by_status.entry(code.status()).or_default();
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
        let builder = by_status.into_iter().fold(self.builder, |builder, (status, codes)| {
            let answer = refusal(&codes);
            let page = ContentBuilder::new().schema(Some(text()));
            let paged = self.has_page && status == 404;
            builder.response(status.to_string(), if paged { answer.content("text/html", page.build()) } else { answer })
        });
        PathItem::new(self.method, builder)
    }
}

/// The refusals of one status.
fn refusal(codes: &[Code]) -> ResponseBuilder {
    let mut about = String::new();
    for code in codes {
        let gap = if about.is_empty() { "" } else { "\n\n" };
        // Writing into a String cannot fail.
        let _ = write!(about, "{gap}`{}`: {}", code.as_str(), code.summary());
    }
    let named: Vec<&str> = codes.iter().map(|c| c.as_str()).collect();
    let content = ContentBuilder::new().schema(Some(shape::<super::shapes::Problem>()));
    let response = ResponseBuilder::new().description(about).content(problem::MEDIA_TYPE, content.build());
    let response = response.extensions(Some(Extensions::from_iter([("x-codes", named)])));
    if !codes.iter().any(|c| matches!(c.status(), 429 | 503)) {
        return response;
    }
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    response.header("Retry-After", header_of(seconds, "In how many seconds to come again, where that is known."))
}

fn header_of(schema: impl Into<Shape>, about: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new().schema(schema).description(Some(about)).build()
}

/// An answer that is being described.
pub struct Answer(ResponseBuilder);

impl Answer {
    /// Without a body.
    pub fn new(about: &str) -> Self {
        Self(ResponseBuilder::new().description(about))
    }

    /// With a body of this shape in JSON.
    pub fn json<T: ToSchema>(self) -> Self {
        self.form("application/json", shape::<T>())
    }

    /// With a body in this media type.
    pub fn form(self, media: &str, schema: impl Into<Shape>) -> Self {
        Self(self.0.content(media, ContentBuilder::new().schema(Some(schema)).build()))
    }

    /// With a body of text in this media type.
    pub fn text(self, media: &str) -> Self {
        self.form(media, text())
    }

    /// With a header.
    pub fn header(self, name: &str, schema: impl Into<Shape>, about: &str) -> Self {
        Self(self.0.header(name, header_of(schema, about)))
    }

    /// With the ETag of what may be held.
    pub fn tagged(self) -> Self {
        let tag = text().pattern(Some("^(W/)?\"[^\"]*\"$"));
        self.header("ETag", tag, "What `If-None-Match` gives back.").header(
            "Cache-Control",
            text(),
            "How long it may be held without asking.",
        )
    }

    /// What of it another operation takes.
    pub fn link<const N: usize>(self, name: &str, id: &str, about: &str, parameters: [(&str, &str); N]) -> Self {
        // utoipa 5.5 writes `operation_id`, which is no name of OpenAPI's.
        let operation = Extensions::from_iter([("operationId", id)]);
        let link = LinkBuilder::new().extensions(Some(operation)).description(about);
        let link = parameters.into_iter().fold(link, |link, (name, value)| link.parameter(name, value));
        Self(self.0.link(name, link.build()))
    }
}
