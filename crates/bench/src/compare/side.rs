//! One of the two models.

use hippocamp_client::{Metadata, Protocol, Request, Result, Server, Target, Tensor};

use super::{BenchArgs, Load, Named, check, place};
use crate::prepare::{Place, connect};

/// A model, and the server that has it.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) target: Target,
    pub(crate) metadata: Metadata,
    pub(crate) place: OwnedPlace,
    pub(crate) server: Server,
}

/// Where a server listens.
#[derive(Clone, Debug)]
pub(crate) struct OwnedPlace {
    pub(crate) protocol: Protocol,
    pub(crate) authority: String,
}

impl OwnedPlace {
    pub(crate) fn as_place(&self) -> Place<'_> {
        Place { protocol: self.protocol, authority: &self.authority }
    }
}

impl Side {
    pub(crate) async fn connect(
        args: &BenchArgs,
        named: &Named,
        url: Option<&str>,
        loads: &[Load],
    ) -> Result<Side> {
        let (protocol, authority) = place(url, args.protocol);
        check(args, protocol, loads)?;
        let mut server = connect(args, protocol, &authority).await?;
        let target = Target { model: named.model.clone(), version: named.version.clone() };
        let metadata = server.metadata(&target).await?;
        Ok(Side { target, metadata, place: OwnedPlace { protocol, authority }, server })
    }

    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Vec<Tensor>> {
        Ok(self.server.infer(&self.target, request).await?.outputs)
    }
}
