//! Forms that people filled in.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::rest::Doors;
use crate::rest::extract::{invalid, read, trace};

/// A larger form is not read, in bytes.
const LARGEST: usize = 64 * 1024;

/// A form, without fields that are not known.
pub struct Filled<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Doors> for Filled<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Doors) -> Result<Self, Problem> {
        let trace = trace(request.headers());
        filled(request.into_body()).await.map(Self).map_err(|problem| problem.traced(&trace))
    }
}

/// What a form holds.
pub async fn filled<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let bytes = read(body, LARGEST).await?;
    let fields = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(&bytes));
    serde_path_to_error::deserialize(fields)
        .map_err(|error| invalid(&error.path().to_string(), &error.inner().to_string()))
}
