package embedded

import (
	"net/url"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

const (
	clusterName = "active"
	// shards is fixed for the life of the files. With SQLite 1, 4 and 16 are
	// equally fast; 4 is what a later move to another database wants.
	shards = 4
	// retention is how long a closed workflow can be looked at in the server.
	// The record that people read is the product's store.
	retention = 72 * time.Hour
)

func names() [services]primitives.ServiceName {
	return [services]primitives.ServiceName{
		frontend: primitives.FrontendService, history: primitives.HistoryService,
		matching: primitives.MatchingService, worker: primitives.WorkerService,
	}
}

func serverOptions(f *folder, p ports, c *credentials, logger *serverLog) []temporal.ServerOption {
	hosts := map[primitives.ServiceName]static.Hosts{}
	configured := map[string]config.Service{}
	for s, name := range names() {
		// Static hosts replace the membership protocol and its ports.
		hosts[name] = static.SingleLocalHost(p.address(service(s)))
		// No HTTP port, pprof or metrics listener: none is configured.
		configured[string(name)] = config.Service{RPC: config.RPC{GRPCPort: p[s], BindOnIP: loopback}}
	}
	return []temporal.ServerOption{
		temporal.WithConfig(serverConfig(f, p, configured)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithTLSConfigFactory(c.serverTLS()),
		temporal.WithAuthorizer(c),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return c }),
		temporal.WithDynamicConfigClient(dynamicSettings()),
	}
}

func serverConfig(f *folder, p ports, configured map[string]config.Service) *config.Config {
	cfg := &config.Config{
		Persistence: config.Persistence{
			DefaultStore: "default", VisibilityStore: "visibility", NumHistoryShards: shards,
			DataStores: map[string]config.DataStore{
				"default": {SQL: sqlConfig(f.defaultDB())},
				// A file of its own is a second writer: 10-15 % more short workflows a second.
				"visibility": {SQL: sqlConfig(f.visibilityDB())},
			},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: clusterName, CurrentClusterName: clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: p.address(frontend)},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            configured,
		// How the server's own workers reach the frontend; without it the start panics.
		PublicClient: config.PublicClient{HostPort: p.address(frontend)},
	}
	const disabled = "disabled"
	cfg.Archival.History.State, cfg.Archival.Visibility.State = disabled, disabled
	cfg.NamespaceDefaults.Archival.History.State, cfg.NamespaceDefaults.Archival.Visibility.State = disabled, disabled
	return cfg
}

func sqlConfig(path string) *config.SQL {
	return &config.SQL{
		PluginName: "sqlite",
		// The plugin puts the name into a URI as it is.
		DatabaseName: (&url.URL{Path: path}).EscapedPath(),
		ConnectAttributes: map[string]string{
			"mode": "rw", // openFolder created the file; a missing one is an error
			// WAL with FULL (2): an acknowledged step is on the disk, and it is
			// twice as fast as the stock rollback journal.
			"journal_mode": "wal",
			"synchronous":  "2",
			"busy_timeout": "10000", // milliseconds; for foreign readers such as a backup
		},
		// More than one connection costs a third to a half of the throughput in retries.
		MaxConns: 1, MaxIdleConns: 1,
	}
}

// dynamicSettings lists what differs from stock. The keys are the server's own
// constants: it ignores a misspelt key.
func dynamicSettings() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// Stock is 20 polls a second and shard: each hop of a workflow would wait up to 50 ms.
		dynamicconfig.TransferProcessorMaxPollRPS.Key(): 500,
		dynamicconfig.TimerProcessorMaxPollRPS.Key():    500,
		dynamicconfig.OutboundProcessorMaxPollRPS.Key(): 500,
		// Stock is 1 s, by which every timer and retry would be late. It covers
		// clocks that differ between hosts; here is one host.
		dynamicconfig.TimerProcessorMaxTimeShift.Key(): 20 * time.Millisecond,
		// Stock is 20 s: when two events of a workflow come within a few
		// milliseconds its notification can be lost, and who waits for the result
		// then waits this long.
		dynamicconfig.HistoryLongPollExpirationInterval.Key(): 2 * time.Second,
		// Stock is 4: partitions spread a queue over hosts and forward between them.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		// Stock is 128,000 workflows; this bounds the memory.
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key(): 8192,
		// Stock is 512 goroutines each. One connection to the file keeps few of them
		// busy; the rest cost some 15 MiB once they have had work.
		dynamicconfig.TransferProcessorSchedulerWorkerCount.Key():   64,
		dynamicconfig.TimerProcessorSchedulerWorkerCount.Key():      64,
		dynamicconfig.VisibilityProcessorSchedulerWorkerCount.Key(): 64,
		// Stock is 10 list calls a second, which one operator's tool exceeds.
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 200,
	}
}
