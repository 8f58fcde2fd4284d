//! The peers that are configured now.

use std::rc::Rc;
use std::sync::Arc;

use glommio::Task;
use nsq_flags::{error, info};

use crate::lookup::limits::PEERS_COUNT_MAX;
use crate::lookup::peer::{Peer, keep_informed};
use crate::lookup::registrations::Registrations;
use crate::mesh::message::Change;
use crate::mesh::process::Process;

/// All peers with their tasks. Owned by the task that spreads the work.
pub(super) struct Peers {
    registrations: Rc<Registrations>,
    process: Arc<Process>,
    running: Vec<Running>,
}

struct Running {
    peer: Rc<Peer>,
    task: Task<()>,
}

impl Peers {
    /// None yet.
    pub(super) fn new(registrations: Rc<Registrations>, process: Arc<Process>) -> Self {
        Self { registrations, process, running: Vec::new() }
    }

    /// Drops the peers that are no longer configured and starts those that are new. The others notice nothing.
    pub(super) fn follow_addresses(&mut self) {
        let (_, configured) = self.process.lookupd_addresses();
        let wanted = unique(configured);
        self.running.retain(|running| {
            let stays = wanted.contains(&running.peer.address);
            if !stays {
                info!("LOOKUP: removing peer {}", running.peer.address);
            }
            stays
        });
        for address in wanted {
            if !self.running.iter().any(|running| running.peer.address == address) {
                info!("LOOKUP: adding peer {address}");
                self.running.push(self.start(address));
            }
        }
    }

    fn start(&self, address: String) -> Running {
        let peer = Rc::new(Peer::new(address));
        let task = glommio::spawn_local(keep_informed(
            peer.clone(),
            self.registrations.clone(),
            self.process.clone(),
        ));
        Running { peer, task }
    }

    /// Leaves a change with every peer.
    pub(super) fn tell(&self, change: Change) {
        let change = Rc::new(change);
        for running in &self.running {
            running.peer.changes.push(change.clone());
        }
    }

    /// The peers of this moment, for a discovery.
    pub(super) fn directory(&self) -> Vec<Rc<Peer>> {
        self.running.iter().map(|running| running.peer.clone()).collect()
    }

    /// Ends every conversation without another word.
    pub(super) async fn stop(self) {
        for running in self.running {
            running.task.cancel().await;
        }
    }
}

/// Each address once, in the order of the first mention, as far as the bound goes.
fn unique(configured: Vec<String>) -> Vec<String> {
    let mut wanted: Vec<String> = Vec::new();
    for address in configured {
        if wanted.contains(&address) {
            continue;
        }
        if wanted.len() == PEERS_COUNT_MAX {
            error!("LOOKUP: more than {PEERS_COUNT_MAX} addresses, the rest is ignored");
            break;
        }
        wanted.push(address);
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_once_and_the_list_is_bounded() {
        let twice = ["a:1", "b:1", "a:1"].map(str::to_owned).to_vec();
        assert_eq!(unique(twice), ["a:1", "b:1"]);
        let many: Vec<String> = (0..PEERS_COUNT_MAX + 1).map(|port| format!("a:{port}")).collect();
        assert_eq!(unique(many).len(), PEERS_COUNT_MAX);
    }
}
