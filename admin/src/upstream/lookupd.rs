//! What an nsqlookupd answers.

use serde::Deserialize;

use super::client::{Asker, Client, Kind};
use super::fault::Fault;
use crate::cluster::Producer;
use crate::cluster::producers::null_is_default;
use crate::cluster::rows::rows;
use crate::url::argument;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Topics {
    #[serde(deserialize_with = "rows")]
    topics: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Channels {
    #[serde(deserialize_with = "rows")]
    channels: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Producers {
    #[serde(deserialize_with = "rows")]
    producers: Vec<Producer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    #[serde(deserialize_with = "null_is_default")]
    version: String,
}

/// One nsqlookupd.
#[derive(Clone, Debug)]
pub struct Lookupd {
    client: Client,
    asker: Asker,
    /// `host:http_port`, as configured.
    pub address: String,
}

// All of these fail with what the upstream or the way to it has wrong.
#[allow(clippy::missing_errors_doc)]
impl Lookupd {
    /// The one at this address.
    pub fn new(client: Client, asker: Asker, address: String) -> Self {
        Self { client, asker, address }
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path_and_query: &str) -> Result<T, Fault> {
        let url = format!("http://{}{path_and_query}", self.address);
        self.client.get_json(Kind::Lookupd, self.asker, &url).await
    }

    /// Every topic that it knows.
    pub async fn topics(&self) -> Result<Vec<String>, Fault> {
        Ok(self.get::<Topics>("/topics").await?.topics)
    }

    /// The channels that it knows of a topic.
    pub async fn channels(&self, topic: &str) -> Result<Vec<String>, Fault> {
        Ok(self.get::<Channels>(&format!("/channels?topic={}", argument(topic))).await?.channels)
    }

    /// The living producers of a topic.
    pub async fn producers(&self, topic: &str) -> Result<Vec<Producer>, Fault> {
        Ok(self.get::<Producers>(&format!("/lookup?topic={}", argument(topic))).await?.producers)
    }

    /// Every nsqd that it knows.
    pub async fn nodes(&self) -> Result<Vec<Producer>, Fault> {
        Ok(self.get::<Producers>("/nodes").await?.producers)
    }

    /// Its version.
    pub async fn version(&self) -> Result<String, Fault> {
        Ok(self.get::<Info>("/info").await?.version)
    }

    /// Does something to the directory: `topic/create`, say, with the arguments.
    pub async fn post(&self, path: &str, arguments: &[(&str, &str)]) -> Result<(), Fault> {
        let url = crate::url::with_arguments(&format!("http://{}/{path}", self.address), arguments);
        self.client.post(Kind::Lookupd, &url).await
    }
}
