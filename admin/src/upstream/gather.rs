//! Asking several upstreams at once.

use std::future::Future;

use tokio::task::JoinSet;

use crate::limits::PARALLEL_MAX;

/// Calls `ask` for each target, at most [`PARALLEL_MAX`] at a time. The answers come in the order of their arrival.
pub async fn gather<T, A, F>(targets: impl IntoIterator<Item = T>, ask: impl Fn(T) -> F) -> Vec<A>
where
    A: Send + 'static,
    F: Future<Output = A> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut answers = Vec::new();
    for target in targets {
        if running.len() == PARALLEL_MAX
            && let Some(Ok(answer)) = running.join_next().await
        {
            answers.push(answer);
        }
        running.spawn(ask(target));
    }
    while let Some(joined) = running.join_next().await {
        match joined {
            Ok(answer) => answers.push(answer),
            // The tasks are not cancelled but by dropping this future, so this is a panic: it is ours.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    answers
}
