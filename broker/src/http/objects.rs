//! `/topic/*` and `/channel/*`: making, deleting, emptying and pausing.

use nsq_protocol::names;

use super::request::Request;
use crate::mesh::request::{Request as CoreRequest, Response as CoreResponse};
use nsq_http::Query;
use nsq_http::reply::{self, ApiError, Reply};

/// What to do with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicAction {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
}

/// What to do with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelAction {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
}

const MISSING_TOPIC: ApiError = ApiError::bad_request("MISSING_ARG_TOPIC");
const INVALID_TOPIC: ApiError = ApiError::bad_request("INVALID_TOPIC");
const TOPIC_NOT_FOUND: ApiError = ApiError::not_found("TOPIC_NOT_FOUND");
const CHANNEL_NOT_FOUND: ApiError = ApiError::not_found("CHANNEL_NOT_FOUND");

/// The argument `topic` of `/pub`, `/mpub` and those of `/topic/*` that check it.
pub(super) fn topic_name<'a>(query: &'a Query<'_>) -> Result<&'a str, ApiError> {
    names::validate(query.get("topic").ok_or(MISSING_TOPIC)?).ok_or(INVALID_TOPIC)
}

pub(super) async fn topic(request: &Request<'_>, action: TopicAction) -> Result<Reply, ApiError> {
    let query = request.query()?;
    let name = match action {
        TopicAction::Create | TopicAction::Empty => topic_name(&query)?,
        // These look the name up without checking it, so a bad name is one that no topic has.
        TopicAction::Delete | TopicAction::Pause | TopicAction::Unpause => {
            names::validate(query.get("topic").ok_or(MISSING_TOPIC)?).ok_or(TOPIC_NOT_FOUND)?
        }
    };
    let topic = name.to_owned();
    let ask = match action {
        TopicAction::Create => CoreRequest::CreateTopic { topic },
        TopicAction::Delete => CoreRequest::DeleteTopic { topic },
        TopicAction::Empty => CoreRequest::EmptyTopic { topic },
        TopicAction::Pause => CoreRequest::PauseTopic { topic, paused: true },
        TopicAction::Unpause => CoreRequest::PauseTopic { topic, paused: false },
    };
    done(request.context.core.request_topic(name, ask).await)
}

pub(super) async fn channel(request: &Request<'_>, action: ChannelAction) -> Result<Reply, ApiError> {
    let query = request.query()?;
    let (name, channel) = channel_arguments(&query)?;
    let (topic, channel) = (name.to_owned(), channel.to_owned());
    let ask = match action {
        ChannelAction::Create => CoreRequest::CreateChannel { topic, channel },
        ChannelAction::Delete => CoreRequest::DeleteChannel { topic, channel },
        ChannelAction::Empty => CoreRequest::EmptyChannel { topic, channel },
        ChannelAction::Pause => CoreRequest::PauseChannel { topic, channel, paused: true },
        ChannelAction::Unpause => CoreRequest::PauseChannel { topic, channel, paused: false },
    };
    done(request.context.core.request_topic(name, ask).await)
}

/// Topic and channel, checked in NSQ's order and named by its second set of words.
fn channel_arguments<'a>(query: &'a Query<'_>) -> Result<(&'a str, &'a str), ApiError> {
    let topic = query.get("topic").ok_or(MISSING_TOPIC)?;
    let topic = names::validate(topic).ok_or(ApiError::bad_request("INVALID_ARG_TOPIC"))?;
    let channel = query.get("channel").ok_or(ApiError::bad_request("MISSING_ARG_CHANNEL"))?;
    let channel = names::validate(channel).ok_or(ApiError::bad_request("INVALID_ARG_CHANNEL"))?;
    Ok((topic, channel))
}

fn done(answer: CoreResponse) -> Result<Reply, ApiError> {
    match answer {
        CoreResponse::TopicNotFound => Err(TOPIC_NOT_FOUND),
        CoreResponse::ChannelNotFound => Err(CHANNEL_NOT_FOUND),
        CoreResponse::Refused => Err(ApiError::INTERNAL),
        CoreResponse::Done | CoreResponse::Ensured { .. } | CoreResponse::Stats(_) => Ok(reply::empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> &'static str {
        result.unwrap_err().code
    }

    #[test]
    fn channel_arguments_are_checked_in_nsqs_order() {
        for (query, expected) in [
            ("", "MISSING_ARG_TOPIC"),
            ("channel=c", "MISSING_ARG_TOPIC"),
            ("topic=&channel=c", "INVALID_ARG_TOPIC"),
            ("topic=a%20b", "INVALID_ARG_TOPIC"),
            ("topic=t", "MISSING_ARG_CHANNEL"),
            ("topic=t&channel=", "INVALID_ARG_CHANNEL"),
            ("topic=t&channel=%23ephemeral", "INVALID_ARG_CHANNEL"),
        ] {
            let query = Query::parse(query.as_bytes()).unwrap();
            assert_eq!(code(channel_arguments(&query)), expected, "{query:?}");
        }
        let query = Query::parse(b"channel=c%23ephemeral&topic=t").unwrap();
        assert_eq!(channel_arguments(&query), Ok(("t", "c#ephemeral")));
    }

    #[test]
    fn a_topic_argument_is_missing_or_invalid() {
        assert_eq!(code(topic_name(&Query::parse(b"x=1").unwrap())), "MISSING_ARG_TOPIC");
        for query in ["topic=", "topic=a+b", "topic=%C3%A9", "topic=a%00"] {
            assert_eq!(
                code(topic_name(&Query::parse(query.as_bytes()).unwrap())),
                "INVALID_TOPIC",
                "{query}"
            );
        }
    }
}
