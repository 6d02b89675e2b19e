//! Uploads, and the collection of what no record names.

use super::state::{Blob, Phase, State};
use super::world::{Mutation, World};

impl World {
    /// The body of an update is complete in the blob store.
    pub fn upload(&self, state: &mut State, client: usize) {
        let Some((_, token)) = state.clients[client].lease else {
            return;
        };
        let upload = state.uploaded;
        state.uploaded += 1;
        state.uploads[usize::from(upload)] = token;
        state.blobs |= 1 << upload;
        if let Some(task) = &mut state.clients[client].task {
            task.blob = Some(Blob { token, upload });
        }
        self.start_from_known(state, client);
    }

    /// A collector reads the record.
    pub fn collect(&self, state: &mut State, client: usize) {
        state.left.collections -= 1;
        let record = state.record;
        state.clients[client].phase =
            Phase::Listing { token: record.token, held: record.lease.is_some(), named: record.named() };
    }

    /// It lists the blobs, and judges them by the record that it read before.
    pub fn list(&self, state: &mut State, client: usize) {
        let Phase::Listing { token, held, named } = state.clients[client].phase else {
            return;
        };
        let mut victims = 0;
        for upload in 0..state.uploaded {
            let fenced = state.uploads[usize::from(upload)];
            let is_garbage =
                fenced < token || fenced == token && !held || self.without(Mutation::CollectorIgnoresToken);
            if is_garbage && (state.blobs & !named) >> upload & 1 == 1 {
                victims |= 1 << upload;
            }
        }
        state.clients[client].phase = if victims == 0 { Phase::Idle } else { Phase::Deleting(victims) };
    }

    pub fn delete(&self, state: &mut State, client: usize, upload: u8) {
        let Phase::Deleting(victims) = state.clients[client].phase else {
            return;
        };
        state.blobs &= !(1 << upload);
        let rest = victims & !(1 << upload);
        state.clients[client].phase = if rest == 0 { Phase::Idle } else { Phase::Deleting(rest) };
    }
}
