//! The public files of the log in an S3-compatible bucket instead of a folder.

#[cfg(feature = "s3")]
mod s3;
#[cfg(all(test, feature = "s3"))]
mod tests;

use std::sync::Arc;

use clap::Args;
use serde::{Deserialize, Serialize};
use usufruct_app::log::Objects;

use crate::failure::Failure;

/// Where the bucket is: the table `[log]` of `usufruct.toml`. Keys come from the usual environment variables
/// (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, or a role of the machine), never from a file here.
#[derive(Args, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Keep the public files of the log in a bucket of S3 or the like instead of the folder `log`, as s3://name/prefix.
    /// Keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    #[arg(long, value_name = "URL", required = false)]
    pub bucket: String,
    /// Where the bucket is served, if that is not AWS, as https://s3.example.org.
    #[arg(long = "bucket-endpoint", value_name = "URL", requires = "bucket")]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub endpoint: Option<String>,
    /// The region of the bucket; AWS_REGION if it is not given.
    #[arg(long = "bucket-region", value_name = "NAME", requires = "bucket")]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub region: Option<String>,
}

impl Bucket {
    /// The name of the bucket, and the prefix of everything in it.
    fn parts(&self) -> Result<(&str, &str), Failure> {
        let (name, prefix) =
            self.bucket.strip_prefix("s3://").map_or(("", ""), |rest| rest.split_once('/').unwrap_or((rest, "")));
        let prefix = prefix.trim_end_matches('/');
        if name.is_empty() || !prefix.is_empty() && usufruct_app::log::objects::check_path(prefix).is_err() {
            return Err(Failure::refused(
                format!("{} is no address of a bucket.", self.bucket),
                "Give it as s3://name or s3://name/prefix.",
            ));
        }
        Ok((name, prefix))
    }
}

/// The environment of this process.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Opens a bucket for the one process that writes to it, after a look at whether the service ever overwrites unasked.
/// `environment` holds the keys.
#[cfg(feature = "s3")]
pub fn open(bucket: &Bucket, environment: impl Iterator<Item = (String, String)>) -> Result<Arc<dyn Objects>, Failure> {
    let s3 = s3::S3::connect(bucket, environment)?;
    s3.check_conditions()?;
    Ok(Arc::new(s3))
}

/// Opens a bucket to read from it.
#[cfg(feature = "s3")]
pub fn read(bucket: &Bucket, environment: impl Iterator<Item = (String, String)>) -> Result<Arc<dyn Objects>, Failure> {
    Ok(Arc::new(s3::S3::connect(bucket, environment)?))
}

#[cfg(not(feature = "s3"))]
pub fn open(bucket: &Bucket, _: impl Iterator<Item = (String, String)>) -> Result<Arc<dyn Objects>, Failure> {
    bucket.parts()?;
    Err(Failure::impossible(
        "This program was built without support for buckets.",
        "Build it with the feature `s3`, or keep the log in its folder.",
    ))
}

#[cfg(not(feature = "s3"))]
pub use open as read;
