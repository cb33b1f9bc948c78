//! `GET /api/v2/findUsage`, `/usagePeriod` and `/heartbeat`: the protocol of the Estonian Data Tracker, so that a national portal shows a
//! resident what was done with her data here. Section numbers are those of its OpenAPI description, version 2.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::UsageRequest;
use usufruct_core::Time;

use super::{Asker, answered};
use crate::Site;
use crate::fault::Fault;
use crate::language::Chosen;
use crate::site::blocking;

/// Who asks, as X-Road carries it.
const USER: &str = "x-road-userid";
/// Uses told where the portal names no limit, as the protocol has it.
const USUAL_LIMIT: usize = 1_000;
/// Most uses told at once.
const MOST: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    user_code: Option<String>,
    period_start: Option<String>,
    period_end: Option<String>,
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

/// The uses of one resident's data, newest first.
pub(super) async fn find_usage(
    State(site): State<Arc<Site>>,
    asker: Asker,
    Chosen(language): Chosen,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Fault> {
    let Query(asked) = asked.map_err(|_| Fault::malformed("`offset` or `limit` is no number. Send numbers from 0 on."))?;
    let subject = asked.user_code.filter(|code| !code.is_empty());
    let subject = subject.ok_or_else(|| Fault::malformed("The request lacks `userCode`. Send her pseudonym at your service."))?;
    // Who acts for somebody reads at the pass, which tells both of it.
    if headers.get(USER).and_then(|value| value.to_str().ok()) != Some(subject.as_str()) {
        let message =
            "`X-Road-UserId` is missing or names somebody else. Ask for the person who is signed in, and name her in both.";
        return Err(Fault::malformed(message));
    }
    let (from, until) = (moment(asked.period_start.as_deref())?, moment(asked.period_end.as_deref())?);
    let limit = asked.limit.unwrap_or(USUAL_LIMIT);
    if limit > MOST {
        return Err(Fault::malformed("`limit` is more than 10,000. Ask for fewer and use `offset`."));
    }
    let service = asker.service().clone();
    let mandate = blocking(&site, move |app| app.usage_mandate(&service)).await?;
    let (service, token, sign_in) = asker.about(std::slice::from_ref(&subject), &mandate)?;
    let request = UsageRequest { service, mandate, subject, sign_in, from, until, offset: asked.offset, limit };
    let found = blocking(&site, move |app| {
        Ok(app.find_usage_by(&request, &token).map_err(|error| answered(error, app.asked_of_reading(&request))))
    })
    .await??;
    let usages: Vec<Value> = found
        .usages
        .iter()
        .map(|usage| {
            json!({
                "logtime": day(usage.at),
                "action": usage.action.within(language),
                "receiverCode": usage.agency,
                "receiverName": usage.agency_name.within(language),
                "receiverSystem": usage.system.within(language),
            })
        })
        .collect();
    Ok(([(CACHE_CONTROL, "no-store")], Json(json!({ "totalUsages": found.total, "usages": usages }))).into_response())
}

/// From when on uses can be asked for. They can be up to now, so no end is named.
pub(super) async fn usage_period(State(site): State<Arc<Site>>) -> Result<Json<Value>, Fault> {
    let began_at = site.app.log_complete_since().ok_or_else(|| Fault::not_found("log"))?;
    Ok(Json(json!({ "periodStart": began_at })))
}

/// Whether everything is told: the store answers, and no source is silent or has a gap.
pub(super) async fn heartbeat(State(site): State<Arc<Site>>) -> Json<Value> {
    let fail = |message: String| Json(json!({ "status": "FAIL", "message": message }));
    let asked = blocking(&site, |app| {
        let register = app.register();
        let open = register.incidents.values().filter(|entry| entry.body.ended_at.is_none());
        let mut sources: Vec<String> = open.map(|entry| entry.body.source.as_str().to_owned()).collect();
        sources.sort_unstable();
        sources.dedup();
        app.store_answers()?;
        Ok(sources)
    });
    match asked.await {
        Err(_) => fail("The store does not answer. Ask again in a moment.".to_owned()),
        Ok(sources) if sources.is_empty() => Json(json!({ "status": "OK" })),
        Ok(sources) => fail(format!("The record of these sources is incomplete: {}. See /register/counts.", sources.join(", "))),
    }
}

/// The day of a use in Taipei, as the moment with which it begins. The receiver knows the moment itself, and by it would find in its own records
/// whom the portal shows this to.
fn day(at: Time) -> String {
    format!("{}T00:00:00+08:00", at.day())
}

/// A moment of the protocol. One without an offset, as its examples have it, is in UTC.
fn moment(text: Option<&str>) -> Result<Option<Time>, Fault> {
    let wrong = || Fault::malformed("`periodStart` or `periodEnd` is no moment. Write it as 2026-01-31T10:20:30Z.");
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let read = text.parse::<Time>().or_else(|_| format!("{text}Z").parse());
    read.map(Some).map_err(|_| wrong())
}
