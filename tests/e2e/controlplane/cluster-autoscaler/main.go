// A stand-in for Cluster Autoscaler where its image can't be pulled: it takes its flags and its cloud-config, and calls
// hexa in its way, with rules that are much simpler. One machine more while a pod is unschedulable and none is on its way;
// a node that runs nothing is given back after the group's scaleDownUnneededTime.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/encoding/protowire"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

const (
	service = "/clusterautoscaler.cloudprovider.v1.externalgrpc.CloudProvider/"
	pause   = time.Second
	running = 1 // InstanceState
)

// What --cloud-config holds.
type cloudConfig struct {
	Address string `json:"address"`
	Key     string `json:"key"`
	Cert    string `json:"cert"`
	Cacert  string `json:"cacert"`
}

type group struct {
	id  string
	max uint64
}

type standIn struct {
	cloud  *grpc.ClientConn
	kube   kubernetes.Interface
	unused map[string]time.Time // since when a node runs nothing
}

func main() {
	kube, err := openKube(flag("kubeconfig"))
	if err != nil {
		log.Fatal(err)
	}
	cloud, err := openCloud(flag("cloud-config"))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("a stand-in for Cluster Autoscaler calls %s", cloud.Target())
	for s := (standIn{cloud, kube, map[string]time.Time{}}); ; time.Sleep(pause) {
		if err := s.loop(context.Background()); err != nil {
			log.Print(err)
		}
	}
}

// The value of --NAME=VALUE; all other flags are ignored.
func flag(name string) string {
	for _, argument := range os.Args[1:] {
		if value, found := strings.CutPrefix(strings.TrimLeft(argument, "-"), name+"="); found {
			return value
		}
	}
	return ""
}

func openKube(kubeconfig string) (kubernetes.Interface, error) {
	var config *rest.Config
	var err error
	if kubeconfig == "" {
		config, err = rest.InClusterConfig()
	} else {
		config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

func openCloud(file string) (*grpc.ClientConn, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	config := cloudConfig{}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	security := insecure.NewCredentials()
	if config.Cert != "" {
		if security, err = mutual(config); err != nil {
			return nil, err
		}
	}
	return grpc.NewClient(config.Address, grpc.WithTransportCredentials(security))
}

func mutual(config cloudConfig) (credentials.TransportCredentials, error) {
	pair, err := tls.LoadX509KeyPair(config.Cert, config.Key)
	if err != nil {
		return nil, err
	}
	authorities, err := os.ReadFile(config.Cacert)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authorities)
	return credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool}), nil
}

func (s *standIn) loop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := s.call(ctx, "Refresh", nil); err != nil {
		return err
	}
	answer, err := s.call(ctx, "NodeGroups", nil)
	if err != nil {
		return err
	}
	pods, err := s.kube.CoreV1().Pods("").List(ctx, meta.ListOptions{})
	if err != nil {
		return err
	}
	for _, bytes := range all(answer, 1) {
		each := group{id: text(bytes, 1), max: number(bytes, 3)}
		if err := s.look(ctx, each, pods.Items); err != nil {
			return err
		}
	}
	return nil
}

// One group: up by one, or down by one, or nothing.
func (s *standIn) look(ctx context.Context, g group, pods []core.Pod) error {
	answer, err := s.call(ctx, "NodeGroupTargetSize", field(1, g.id))
	if err != nil {
		return err
	}
	target := number(answer, 1)
	answer, err = s.call(ctx, "NodeGroupNodes", field(1, g.id))
	if err != nil {
		return err
	}
	up := map[string]bool{}
	for _, instance := range all(answer, 1) {
		for _, status := range all(instance, 2) {
			if number(status, 1) == running {
				up[text(instance, 1)] = true
			}
		}
	}
	if name := unschedulable(pods); name != "" {
		if target == uint64(len(up)) && target < g.max {
			log.Printf("pod %s does not fit anywhere: %s grows to %d", name, g.id, target+1)
			request := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1) // delta
			_, err = s.call(ctx, "NodeGroupIncreaseSize", append(request, field(2, g.id)...))
		}
		return err
	}
	return s.shrink(ctx, g, up, pods)
}

func (s *standIn) shrink(ctx context.Context, g group, up map[string]bool, pods []core.Pod) error {
	nodes, err := s.kube.CoreV1().Nodes().List(ctx, meta.ListOptions{})
	if err != nil {
		return err
	}
	patience, err := s.patience(ctx, g)
	if err != nil {
		return err
	}
	for _, node := range nodes.Items {
		disabled := node.Annotations["cluster-autoscaler.kubernetes.io/scale-down-disabled"] == "true"
		if !up[node.Spec.ProviderID] || disabled || busy(node.Name, pods) {
			delete(s.unused, node.Name)
			continue
		}
		since, known := s.unused[node.Name]
		if !known {
			s.unused[node.Name] = time.Now()
		} else if time.Since(since) > patience {
			log.Printf("node %s runs nothing: %s gives it back", node.Name, g.id)
			delete(s.unused, node.Name)
			wanted := append(field(1, node.Spec.ProviderID), field(2, node.Name)...)
			_, err := s.call(ctx, "NodeGroupDeleteNodes", append(field(1, string(wanted)), field(2, g.id)...))
			return err
		}
	}
	return nil
}

// The group's scaleDownUnneededTime; 10 minutes where it has none.
func (s *standIn) patience(ctx context.Context, g group) (time.Duration, error) {
	defaults := field(8, string(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 600)))
	answer, err := s.call(ctx, "NodeGroupGetOptions", append(field(1, g.id), field(2, string(defaults))...))
	if err != nil {
		return 0, err
	}
	for _, options := range all(answer, 1) {
		for _, duration := range all(options, 8) {
			return time.Duration(number(duration, 1)) * time.Second, nil
		}
	}
	return 0, fmt.Errorf("%s has no scaleDownUnneededTime", g.id)
}

func unschedulable(pods []core.Pod) string {
	for _, pod := range pods {
		for _, condition := range pod.Status.Conditions {
			if pod.Status.Phase == core.PodPending && condition.Reason == core.PodReasonUnschedulable {
				return pod.Namespace + "/" + pod.Name
			}
		}
	}
	return ""
}

func busy(node string, pods []core.Pod) bool {
	for _, pod := range pods {
		ended := pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed
		owner := meta.GetControllerOf(&pod)
		if pod.Spec.NodeName == node && !ended && (owner == nil || owner.Kind != "DaemonSet") {
			return true
		}
	}
	return false
}

// --- the wire: messages as bytes, by the numbers of their fields ---

type raw struct{}

func (raw) Name() string                    { return "proto" }
func (raw) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (raw) Unmarshal(b []byte, v any) error { *v.(*[]byte) = append([]byte{}, b...); return nil }

var _ encoding.Codec = raw{}

func (s *standIn) call(ctx context.Context, rpc string, request []byte) ([]byte, error) {
	var answer []byte
	err := s.cloud.Invoke(ctx, service+rpc, &request, &answer, grpc.ForceCodec(raw{}), grpc.WaitForReady(true))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", rpc, err)
	}
	return answer, nil
}

func field(key protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, key, protowire.BytesType), value)
}

// Every field of a number that is text, bytes or a message.
func all(message []byte, wanted protowire.Number) (found [][]byte) {
	each(message, func(key protowire.Number, value []byte, _ uint64) {
		if key == wanted && value != nil {
			found = append(found, value)
		}
	})
	return found
}

func text(message []byte, wanted protowire.Number) string {
	for _, value := range all(message, wanted) {
		return string(value)
	}
	return ""
}

func number(message []byte, wanted protowire.Number) (found uint64) {
	each(message, func(key protowire.Number, value []byte, integer uint64) {
		if key == wanted && value == nil {
			found = integer
		}
	})
	return found
}

func each(message []byte, see func(protowire.Number, []byte, uint64)) {
	for len(message) > 0 {
		key, kind, length := protowire.ConsumeTag(message)
		if length < 0 {
			return
		}
		message = message[length:]
		value, integer := []byte(nil), uint64(0)
		switch kind {
		case protowire.BytesType:
			value, length = protowire.ConsumeBytes(message)
			value = append([]byte{}, value...)
		case protowire.VarintType:
			integer, length = protowire.ConsumeVarint(message)
		default:
			length = protowire.ConsumeFieldValue(key, kind, message)
		}
		if length < 0 {
			return
		}
		see(key, value, integer)
		message = message[length:]
	}
}
