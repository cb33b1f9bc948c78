//! api

use std::sync::Arc;

use axum::Router;

use crate::Site;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
}
