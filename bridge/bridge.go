// Package bridge starts and stops the rooms in order and routes facts and wishes between
// them.
//
//	camera ─SIP─▶ sip ─▶ fleet ─facts─▶ Bridge ─reports─▶ shadowsync ─documents─▶ broker ─MQTT─▶ rule engine, cloud
//	                ▲                                                                │
//	                └──── command ◀──── desired state, cmd/… ◀──────────────────────┘
//
// It decides nothing by itself: each decision is made in the room that owns it.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gb2mqtt/gb2mqtt/bridge/command"
	"github.com/gb2mqtt/gb2mqtt/bridge/fleet"
	"github.com/gb2mqtt/gb2mqtt/bridge/guard"
	"github.com/gb2mqtt/gb2mqtt/bridge/leak"
	"github.com/gb2mqtt/gb2mqtt/bridge/quirk"
	"github.com/gb2mqtt/gb2mqtt/bridge/sip"
	"github.com/gb2mqtt/gb2mqtt/bridge/subscribe"
	"github.com/gb2mqtt/gb2mqtt/bridge/tree"
	"github.com/gb2mqtt/gb2mqtt/broker"
	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
	"github.com/gb2mqtt/gb2mqtt/shadowsync"
	"github.com/gb2mqtt/gb2mqtt/shadowsync/store"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// stopTimeout bounds a clean stop; what has not ended by then is left to the process' end.
const stopTimeout = 4500 * time.Millisecond

// reconcileParallel bounds the devices whose desired state is worked on at once.
const reconcileParallel = 256

// Bridge is the whole product between its configuration and its sockets.
type Bridge struct {
	cfg     Config
	log     *slog.Logger
	reg     *prometheus.Registry
	metrics *metrics
	topics  topics
	started time.Time

	store         *store.Store
	registrations *registrations
	shadows       *shadowsync.Service
	reconciler    *shadowsync.Reconciler
	broker        *broker.Broker
	breakers      *guard.Breakers
	links         *guard.Links
	lockout       *guard.Lockout
	capacity      *guard.Capacity
	leaks         *leak.Sweeper
	fleet         *fleet.Fleet
	nodes         *tree.Table
	crowds        *crowds
	endpoint      *sip.Endpoint
	commands      *command.Engine
	pace          *pace
	recovery      *recovery
	healing       *healing
	frequent      *throttle
	refreshes     *throttle
	quirks        *quirk.Table
	twins         *twins
	rivals        *rivals
	switches      *throttle
	upstreams     upstreams
	subscriptions *subscribe.Manager
	overrides     *overrides
	names         *names
	owing         chan struct{} // capacity 1: there are debts to shadows
	locals        *locals
	info          *info
	http          *httpServer // nil where http.listen is empty
}

// Addresses are those that a running bridge is reached at.
type Addresses struct {
	SIP  []string // udp://host:port, tcp://host:port
	MQTT []string // tcp://host:port, ws://host:port; none without the embedded broker
	HTTP string   // http://host:port, or ""
	// GeneratedPassword is the SIP password that was made up because none is set, else "".
	GeneratedPassword string
}

// Run serves until ctx ends, then stops within 5 s: it returns nil after a clean stop, and
// what went wrong where something did. ready is called once everything serves.
func Run(ctx context.Context, cfg Config, log *slog.Logger, ready func(Addresses)) (err error) {
	generated := ""
	if cfg.Fleet.Auth.Password == "" {
		if generated, err = generatedPassword(cfg.Store.Path); err != nil {
			return err
		}
		cfg.Fleet.Auth.Password = generated
	}
	b := &Bridge{
		cfg: cfg, log: log, reg: prometheus.NewRegistry(),
		topics: topics{prefix: cfg.TopicPrefix}, started: time.Now(),
	}
	b.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if b.store, err = store.Open(cfg.Store, log, b.reg); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.store.Close()) }()
	if err := b.build(); err != nil {
		return err
	}
	addresses, err := b.listen()
	if err != nil {
		return err
	}
	addresses.GeneratedPassword = generated
	return b.serve(ctx, func() { ready(addresses) })
}

// build makes the rooms and ties them together; nothing runs yet.
func (b *Bridge) build() (err error) {
	b.registrations = &registrations{store: b.store, log: b.log}
	b.quirks, b.twins, b.rivals = quirk.New(b.cfg.Quirks), newTwins(), newRivals()
	b.info = newInfo(func() { b.broker.Publish(b.infoMessage()) })
	b.frequent, b.refreshes, b.switches = newThrottle(shadowInterval), newThrottle(refreshInterval), newThrottle(switchInterval)
	b.pace = newPace(b.cfg.RecoveryRate)
	b.recovery = newRecovery(recoveryOptions{Wait: b.pace.Wait, Questions: b.questions, Ask: b.askReturned})
	b.metrics = newMetrics(b.reg, b.recovery.Len)
	b.breakers, err = guard.NewBreakers(guard.BreakerOptions{OnChange: b.breakerChanged, Probe: func(device string) { b.healing.Probe(device) }, Registerer: b.reg})
	if err != nil {
		return err
	}
	b.links, err = guard.NewLinks(guard.LinkOptions{OnChange: b.linkChanged, OnBad: b.linkBad, Registerer: b.reg})
	if err != nil {
		return err
	}
	if b.lockout, err = guard.NewLockout(b.cfg.Guard.Lockout, b.reg); err != nil {
		return err
	}
	if b.capacity, err = guard.NewCapacity(b.knownDevices, b.reg); err != nil {
		return err
	}
	b.fleet, err = fleet.New(b.cfg.Fleet, fleet.Options{
		Sink: b, Lockout: b.lockout, Admit: b.admit, Denied: b.linkDenied, Quirks: b.quirks, Log: b.log, Registerer: b.reg,
	})
	if err != nil {
		return err
	}
	b.nodes, b.crowds = tree.New(b.cfg.Fleet.MaxChannels), newCrowds()
	if b.endpoint, err = sip.New(b.cfg.SIP, b.fleet, b.log, b.reg); err != nil {
		return err
	}
	if b.leaks, err = leak.NewSweeper(b.log, b.reg, b.connections); err != nil {
		return err
	}
	b.commands, err = command.New(b.cfg.Command, command.Options{
		Sender: b.endpoint, Directory: directory{b}, Breakers: b.breakers, Heard: b.fleet.Heard, Measure: b.measureLink, Inside: b.learn,
		Log: b.log, Registerer: b.reg,
	})
	if err != nil {
		return err
	}
	b.upstreams = upstreams{}
	b.overrides, b.locals = newOverrides(), newLocals()
	b.owing = make(chan struct{}, 1)
	b.subscriptions = subscribe.New(subscribe.Options{
		Requester: b.commands, Wanted: b.wantedSubscriptions, Online: b.isOnline, Wait: b.pace.Wait,
		Upkeep: newPace(upkeepFactor * b.cfg.RecoveryRate).Wait,
		Report: b.reportSubscriptions, Live: b.fleet.SetSubscribed, Log: b.log,
		Polled: func(device gb28181.ID) bool { return b.quirks.Of(device).PollCatalog },
		Poll: func(ctx context.Context, device gb28181.ID) error {
			_, err := b.ask(ctx, device, "catalog")
			return err
		},
	})
	if b.broker, err = broker.New(b.cfg.MQTT, broker.Options{
		Log: b.log, Registerer: b.reg, Classify: b.classify, Journal: b.store.Journal(), Sessions: newSessionStore(b.store),
		Upstream: b.upstream, UpstreamMessage: b.upstreams.receive,
		Will: b.topics.stateOf("offline"), Birth: b.birth, OnClient: b.mqttClient,
		BackOff: guard.BackOff, OnLink: func(string, bool) { b.info.changed() },
		Source: retained{b}, Filters: append(b.topics.commandFilters(), shadowsync.RequestFilters(b.cfg.Shadow.Prefix)...),
	}); err != nil {
		return err
	}
	b.broker.Handle(b.incoming)
	b.shadows, err = shadowsync.New(b.cfg.Shadow, b.store, shadowPublisher{b.broker}, shadowsync.Options{
		Log: b.log, Registerer: b.reg, KnownThing: b.knownThing, Wanted: b.broker.Wanted, Debts: debts{b},
	})
	if err != nil {
		return err
	}
	b.names = newNames(b.cfg.Shadow.Prefix, b.shadows.Names, b.broker.Publish)
	b.shadows.Observe(b)
	b.buildUpstreams()
	b.reconciler = shadowsync.NewReconciler(b.shadows, actuator{b}, reconcileParallel)
	b.reconciler.OnSettled(b.pace.Settle)
	b.healing = &healing{
		pace: b.pace, recovery: b.recovery, subscriptions: b.subscriptions, breakers: b.breakers, links: b.links,
		compare: b.reconciler.Return,
	}
	return nil
}

// listen opens every socket, so that what can't be had is told before anything runs.
func (b *Bridge) listen() (a Addresses, err error) {
	if err := b.endpoint.Listen(); err != nil {
		return a, err
	}
	if err := b.broker.Listen(); err != nil {
		return a, err
	}
	if b.cfg.HTTPListen != "" {
		if b.http, err = listenHTTP(b.cfg.HTTPListen, b.cfg.PProf, b.reg, b.failing, console{b}); err != nil {
			return a, err
		}
		a.HTTP = "http://" + b.http.listener.Addr().String()
	}
	for _, bound := range b.endpoint.Addrs() {
		a.SIP = append(a.SIP, fmt.Sprintf("%s://%s", bound.Network, bound.Addr))
	}
	a.MQTT = b.broker.Addrs()
	return a, nil
}

// serve runs the rooms until ctx ends or one of them fails, and stops them in the order of
// the data: SIP first, the broker and the store last.
func (b *Bridge) serve(ctx context.Context, ready func()) error {
	asked := ctx // ends when the bridge is told to stop
	ctx, fail := context.WithCancelCause(asked)
	defer fail(nil)
	start := func(name string, run func(context.Context) error) *room {
		return startRoom(name, b.log, run, fail)
	}
	shadows := start("shadow service", b.shadows.Run)
	if err := b.restore(); err != nil {
		fail(err)
	}
	mqtt := start("MQTT", b.broker.Run)
	b.broker.Publish(b.infoMessage())
	b.broker.Publish(b.topics.stateOf("online"))
	// In the order in which they stop: commands end while SIP still runs, so that moving
	// cameras are told to stop; the fleet ends after SIP, so that nothing comes in behind it.
	rooms := []*room{
		start("recovery", b.recovery.Run),
		start("subscriptions", b.subscriptions.Run),
		start("answers of the bridge's own", b.locals.Run),
		start("commands", b.commands.Run),
		start("SIP", b.endpoint.Run),
		start("fleet", b.fleet.Run),
		start("breakers", b.breakers.Run),
		start("link health", b.links.Run),
		start("capacity", b.capacity.Run),
		start("leaks", b.leaks.Run),
		start("heap", keepHeap),
		start("info", b.info.Run),
		start("lists of shadows", b.names.Run),
		start("janitor", b.janitor),
		start("debts to shadows", b.settleShadows),
		start("channels of crowds", b.tellCrowds),
	}
	if b.http != nil {
		rooms = append(rooms, start("HTTP", b.http.Run))
	}
	if ctx.Err() == nil {
		ready()
	}
	<-ctx.Done()

	stopping, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	if asked.Err() == nil {
		errs = append(errs, context.Cause(ctx)) // nobody told it to: a room failed
	}
	b.reconciler.Close()
	for _, r := range rooms {
		errs = append(errs, r.end(stopping))
	}
	errs = append(errs, shadows.end(stopping))
	b.broker.Publish(b.topics.stateOf("offline"))
	errs = append(errs, b.broker.Flush(stopping), mqtt.end(stopping))
	return errors.Join(errs...)
}

// shadowPublisher gives the shadow service the broker: QoS 1, never retained.
type shadowPublisher struct{ broker *broker.Broker }

func (p shadowPublisher) Publish(topic string, payload []byte) {
	p.broker.Publish(broker.Message{Topic: topic, Payload: payload, QoS: 1})
}
