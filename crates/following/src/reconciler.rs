//! Turns changes in the repositories into transactions on the served models.
//!
//! One task receives the events and decides. Scans run on threads that may block, and each transaction is a task of its own, so
//! that a model which takes a minute to load delays only the models that are connected to it by ensembles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// The time after which everything is scanned again while a repository on this machine cannot be read: nothing tells when it can.
const UNREADABLE: Duration = Duration::from_secs(1);

/// The state of following the repositories; the module's description says how it works.
pub(crate) struct Reconciler<M> {
    models: Arc<M>,
    settings: WatchSettings,
    names: ModelNames,
    /// The watcher, locked by one scan at a time on a thread that may block.
    watcher: Arc<Mutex<Watcher>>,
    events: FolderEvents,
    debouncer: Debouncer,
    /// The time of the next scan of everything; `None` if there is none.
    next_poll: Option<Instant>,
    /// The repositories of which a link on their path changed since the last scan of everything.
    relinked: BTreeSet<usize>,
    compositions: Compositions,
    refused: Refused,
    faults: LoggedFaults,
    /// The transactions that are running.
    running: JoinSet<(Transaction, Contents, Outcome)>,
    /// The models of the running transactions, including those that are connected to them.
    busy: BTreeSet<String>,
}

impl<M: ServedModels> Reconciler<M> {
    /// Scans everything, and handles what changed since the scan at the start of the server.
    pub(crate) async fn new(models: Arc<M>, settings: WatchSettings) -> Reconciler<M> {
        let (repositories, options) = (models.repositories().to_vec(), models.scan_options());
        let names = ModelNames::new(&repositories, options.namespacing);
        let AtStart { contents, failed } = models.at_start();
        let mut refused = Refused::default();
        let loaded = models.accounted_for();
        // A content that changed while it was loaded does not count as refused.
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
            relinked: BTreeSet::new(),
            compositions: Compositions::default(),
            refused,
            faults: LoggedFaults::default(),
            running: JoinSet::new(),
            busy: BTreeSet::new(),
        };
        reconciler.scan(None).await;
        reconciler.start_transactions().await;
        info!("watching the model repositories");
        reconciler
    }

    /// Waits for an event, a timer or the end of a transaction, and handles it.
    pub(crate) async fn step(&mut self) {
        let due = self.debouncer.due().into_iter().chain(self.next_poll).min();
        let timer = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.events.changed() => self.take_events(),
            () = timer => {}
            Some(done) = self.running.join_next() => match done {
                Ok((transaction, contents, outcome)) => self.ended(&transaction, contents, outcome),
                // The transaction panicked, which was logged. It is not known which one it was, so nothing waits any more.
                Err(_) => self.busy.clear(),
            },
        }
        let now = Instant::now();
        if self.next_poll.is_some_and(|due| now >= due) {
            self.scan(None).await;
        } else {
            let names = self.debouncer.due_for_scan(now);
            if !names.is_empty() {
                self.scan(Some(names)).await;
            }
        }
        self.start_transactions().await;
    }

    fn take_events(&mut self) {
        let noticed = self.events.take();
        let now = Instant::now();
        if noticed.everything || !noticed.repositories.is_empty() {
            self.next_poll = Some(now);
        }
        self.relinked.extend(noticed.repositories);
        self.record_event(noticed.models, now);
    }

    /// Restarts the settling time of these models.
    fn record_event(&mut self, places: BTreeSet<Place>, now: Instant) {
        for (repository, folder) in places {
            for name in self.names.of(repository, folder) {
                self.debouncer.record_event(&name, now);
            }
        }
    }

    /// Scans the models of these names, or everything if there are none.
    async fn scan(&mut self, names: Option<BTreeSet<String>>) {
        let everything = names.is_none();
        let watcher = Arc::clone(&self.watcher);
        let looked = tokio::task::spawn_blocking(move || {
            let (scan, changed) = watcher.lock().scan(names.as_ref());
            (scan, changed, names)
        });
        if everything {
            let now = Instant::now();
            // A time that the clock does not reach never comes.
            self.next_poll = self.settings.poll.and_then(|poll| now.checked_add(poll));
        }
        // A panic in the task was logged.
        let Ok((scan, mut changed, names)) = looked.await else { return };
        let now = Instant::now();
        if everything {
            // The kernel reported no event of files at the new target of a link.
            let relinked = std::mem::take(&mut self.relinked);
            changed.retain(|(repository, _)| relinked.contains(repository));
            self.record_event(changed, now);
        }
        self.record_event(self.events.being_written(now), now);
        if !scan.faults.iter().any(ScanFault::is_of_repository) {
            self.models.repositories_are_readable();
        }
        if scan.faults.iter().any(|fault| matches!(fault, ScanFault::Repository { .. })) {
            let again = now + UNREADABLE;
            self.next_poll = Some(self.next_poll.map_or(again, |poll| poll.min(again)));
        }
        self.faults.log(&scan);
        // A name that two repositories have is not among the models: nobody could say which of them is meant.
        self.debouncer.record_scan(names.as_ref(), &scan.models, now);
        self.faults.log_long_changing(&self.debouncer, now);
    }

    /// Starts the transactions on settled changes, except for those that are connected to a model which is still changing or
    /// has a running transaction.
    async fn start_transactions(&mut self) {
        let settled = self.debouncer.settled();
        let wanted = self.wanted(&settled);
        let before = self.models.dependencies();
        let actions = plan(&self.models.accounted_for(), &wanted, &Wanted::All);
        // A change that led back to what is served needs no action.
        let acted: BTreeSet<&str> = actions.iter().map(Action::name).collect();
        let known = settled.keys().filter(|name| !acted.contains(name.as_str())).cloned().collect();
        self.debouncer.accept(&known);
        if actions.is_empty() {
            return;
        }
        let changed = actions.iter().map(Action::name);
        let changed: Vec<Changed> =
            changed.map(|name| (name.to_owned(), wanted.get(name).copied())).collect();
        // With namespaces, a change in one repository may change the model that a step in another one refers to.
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

    /// The content of the repositories, with the settled changes only.
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
                    self.debouncer.record_event(name, now);
                }
            }
        }
    }
}
