//! From changes in the repositories to transactions on the served models.
//!
//! One task notices changes and decides. Looks at the disk run on threads that may block, and each transaction runs beside
//! the others: a model that takes a minute to load delays only the models that ensembles tie to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use hippocamp_repository::{
    Action, Dependencies, Fingerprint, Outcome, ScanFault, Transaction, Wanted, plan, transactions,
};
use hippocamp_repository_watch::{Debouncer, FolderEvents};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tracing::info;

use crate::composition::{Changed, Compositions};
use crate::faults::LoggedFaults;
use crate::model_names::ModelNames;
use crate::refused::{Contents, Refused, contents_of};
use crate::watcher::{Place, Watcher};
use crate::{AtStart, ServedModels, WatchSettings};

/// See the module.
pub(crate) struct Reconciler<M> {
    models: Arc<M>,
    settings: WatchSettings,
    names: ModelNames,
    /// Locked by one look at a time, on a thread that may block.
    watcher: Arc<Mutex<Watcher>>,
    events: FolderEvents,
    debouncer: Debouncer,
    /// When everything is looked at next; `None` for never.
    next_poll: Option<Instant>,
    /// Repositories to which links lead another way since the last look at everything.
    rerouted: BTreeSet<usize>,
    compositions: Compositions,
    refused: Refused,
    faults: LoggedFaults,
    /// Transactions that are being carried out.
    running: JoinSet<(Transaction, Contents, Outcome)>,
    /// The models that are tied to those.
    busy: BTreeSet<String>,
}

impl<M: ServedModels> Reconciler<M> {
    /// Looks at everything, and acts on what changed since the server looked at its start.
    pub(crate) async fn new(models: Arc<M>, settings: WatchSettings) -> Reconciler<M> {
        let (repositories, options) = (models.repositories().to_vec(), models.scan_options());
        let names = ModelNames::new(&repositories, options.namespacing);
        let AtStart { contents, failed } = models.at_start();
        let mut refused = Refused::default();
        let loaded = models.accounted_for();
        // What changed while it was read was not refused.
        let failed = contents
            .iter()
            .filter(|(name, content)| failed.contains(*name) && loaded.get(*name) != Some(*content));
        refused.add_each(failed.map(|(name, content)| (name.clone(), Some(*content))));
        let watcher = Watcher::new(repositories, options, settings.events);
        let mut reconciler = Reconciler {
            events: watcher.events(),
            watcher: Arc::new(Mutex::new(watcher)),
            debouncer: Debouncer::new(contents, settings.settling),
            models,
            settings,
            names,
            next_poll: None,
            rerouted: BTreeSet::new(),
            compositions: Compositions::default(),
            refused,
            faults: LoggedFaults::default(),
            running: JoinSet::new(),
            busy: BTreeSet::new(),
        };
        reconciler.look(None).await;
        reconciler.act().await;
        info!("watching the model repositories");
        reconciler
    }

    /// Waits until there is something to do, and does it.
    pub(crate) async fn step(&mut self) {
        let due = self.debouncer.due().into_iter().chain(self.next_poll).min();
        let timer = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.events.noticed() => self.take_events(),
            () = timer => {}
            Some(done) = self.running.join_next() => match done {
                Ok((transaction, contents, outcome)) => self.ended(&transaction, contents, outcome),
                // The transaction panicked, which was logged. It is not known which one it was, so nothing waits any more.
                Err(_) => self.busy.clear(),
            },
        }
        let now = Instant::now();
        if self.next_poll.is_some_and(|due| now >= due) {
            self.look(None).await;
        } else {
            let names = self.debouncer.to_look_at(now);
            if !names.is_empty() {
                self.look(Some(names)).await;
            }
        }
        self.act().await;
    }

    fn take_events(&mut self) {
        let noticed = self.events.take();
        let now = Instant::now();
        if noticed.everything || !noticed.repositories.is_empty() {
            self.next_poll = Some(now);
        }
        self.rerouted.extend(noticed.repositories);
        self.disturb(noticed.models, now);
    }

    /// Something happened to these models: their settling time begins anew.
    fn disturb(&mut self, places: BTreeSet<Place>, now: Instant) {
        for (repository, folder) in places {
            for name in self.names.of(repository, folder) {
                self.debouncer.disturb(&name, now);
            }
        }
    }

    /// Looks at the models of these names, or at everything.
    async fn look(&mut self, names: Option<BTreeSet<String>>) {
        let everything = names.is_none();
        let watcher = Arc::clone(&self.watcher);
        let looked = tokio::task::spawn_blocking(move || {
            let (scan, changed) = watcher.lock().look(names.as_ref());
            (scan, changed, names)
        });
        if everything {
            let now = Instant::now();
            self.next_poll = self.settings.poll.map(|poll| now + poll);
        }
        // A panic in there was logged.
        let Ok((scan, mut changed, names)) = looked.await else { return };
        let now = Instant::now();
        if everything {
            // Changes at the end of a link that leads elsewhere now were reported by nobody.
            let rerouted = std::mem::take(&mut self.rerouted);
            changed.retain(|(repository, _)| rerouted.contains(repository));
            self.disturb(changed, now);
        }
        self.disturb(self.events.being_written(now), now);
        if !scan.faults.iter().any(ScanFault::is_of_repository) {
            self.models.repositories_are_readable();
        }
        self.faults.log(&scan);
        // A name that two repositories have is not among the models: nobody could say which of them is meant.
        self.debouncer.look(names.as_ref(), &scan.models, now);
        self.faults.log_restless(&self.debouncer, now);
    }

    /// Begins the transactions on what has settled, as far as nothing that is tied to it is unsettled or busy.
    async fn act(&mut self) {
        let settled = self.debouncer.settled();
        let wanted = self.wanted(&settled);
        let before = self.models.dependencies();
        let actions = plan(&self.models.accounted_for(), &wanted, &Wanted::All);
        // What settled as something that serves already is accepted without an action.
        let acted: BTreeSet<&str> = actions.iter().map(Action::name).collect();
        let known = settled.keys().filter(|name| !acted.contains(name.as_str())).cloned().collect();
        self.debouncer.accept(&known);
        if actions.is_empty() {
            return;
        }
        let changed = actions.iter().map(Action::name);
        let changed: Vec<Changed> =
            changed.map(|name| (name.to_owned(), wanted.get(name).copied())).collect();
        // With namespaces a change in one repository may change whom a step in another one means.
        let reread = self.names.have_namespaces();
        let after = self.compositions.dependencies(&self.models, before.clone(), &changed, reread).await;
        let unsettled = self.debouncer.unsettled();
        for transaction in transactions(actions, &before, &after) {
            let contents = contents_of(&transaction, &wanted);
            let waits = |names: &BTreeSet<String>| !names.is_disjoint(&transaction.tied);
            if waits(&unsettled) || waits(&self.busy) || self.refused.has(&contents) {
                continue;
            }
            self.begin(transaction, contents, wanted.clone(), after.clone());
        }
    }

    /// What the repositories hold, as far as it has settled.
    fn wanted(&self, settled: &BTreeMap<String, Option<Fingerprint>>) -> BTreeMap<String, Fingerprint> {
        let mut wanted = self.debouncer.accepted().clone();
        for (name, content) in settled {
            match content {
                Some(content) => drop(wanted.insert(name.clone(), *content)),
                None => drop(wanted.remove(name)),
            }
        }
        wanted
    }

    fn begin(
        &mut self,
        transaction: Transaction,
        contents: Contents,
        wanted: BTreeMap<String, Fingerprint>,
        dependencies: Dependencies,
    ) {
        self.debouncer.accept(&contents.iter().map(|(name, _)| name.clone()).collect());
        self.busy.extend(transaction.tied.iter().cloned());
        self.faults.settled(&transaction.tied);
        self.refused.forget(&contents);
        let models = Arc::clone(&self.models);
        self.running.spawn(async move {
            let outcome = models.transact(&transaction, &wanted, &dependencies).await;
            (transaction, contents, outcome)
        });
    }

    fn ended(&mut self, transaction: &Transaction, contents: Contents, outcome: Outcome) {
        self.busy.retain(|name| !transaction.tied.contains(name));
        match outcome {
            Outcome::Done => {}
            Outcome::FailedTogether => self.refused.add_together(contents),
            Outcome::Failed => {
                let loaded = self.models.accounted_for();
                let failed = contents.into_iter();
                self.refused.add_each(failed.filter(|(name, content)| loaded.get(name) != content.as_ref()));
            }
            Outcome::Changed => {
                let now = Instant::now();
                for (name, _) in &contents {
                    self.debouncer.disturb(name, now);
                }
            }
        }
    }
}
