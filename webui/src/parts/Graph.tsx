import dagre from '@dagrejs/dagre';
import { useMemo } from 'react';
import type { Dag } from '../api';
import { percent } from '../format';

export interface VertexFigures {
  lines: [string, string][];
  busy?: number;
}

const WIDTH = 216;

/** `pipeline-1 [Source[0]-FakeSource]` → `FakeSource`; a chain of transforms names each. */
export function vertexName(name: string): string {
  const inner = name.replace(/^pipeline-\d+ \[/, '').replace(/\]$/, '').replace(/^TransformChain\[/, '').replace(/-MultiTableSink$/, '');
  const plugins = [...inner.matchAll(/(?:Source|Transform|Sink)\[\d+\]-([^\],]+)/g)].map((found) => found[1]);
  return plugins.length ? plugins.join(' → ') : inner;
}

/** The data's way from the sources to the sinks, with figures on each of its parts. */
export function Graph({ dag, figures = {} }: { dag: Dag; figures?: Record<string, VertexFigures> }) {
  const rows = Math.max(1, ...dag.vertexInfoMap.map((v) => (figures[v.vertexId]?.lines.length ?? 0) + (v.tablePaths.length ? 1 : 0)));
  const height = 62 + rows * 19;
  const layout = useMemo(() => {
    const graph = new dagre.graphlib.Graph({ multigraph: true });
    graph.setGraph({ rankdir: 'LR', nodesep: 24, ranksep: 64, marginx: 4, marginy: 4 });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const vertex of dag.vertexInfoMap) graph.setNode(String(vertex.vertexId), { width: WIDTH, height });
    for (const edges of Object.values(dag.pipelineEdges)) for (const edge of edges) graph.setEdge(edge.inputVertexId, edge.targetVertexId);
    dagre.layout(graph);
    return graph;
  }, [dag, height]);
  const size = layout.graph() as { width: number; height: number };
  return (
    <div className="graph" role="group" aria-label="Sources, transforms and sinks" tabIndex={0}>
      <div className="graph-space" style={{ width: size.width, height: size.height }}>
        <svg width={size.width} height={size.height} aria-hidden="true">
          {layout.edges().map((edge) => {
            const from = layout.node(edge.v);
            const to = layout.node(edge.w);
            const [x1, x2] = [from.x! + WIDTH / 2, to.x! - WIDTH / 2];
            const middle = (x1 + x2) / 2;
            return <path key={`${edge.v}-${edge.w}`} d={`M${x1},${from.y} C${middle},${from.y} ${middle},${to.y} ${x2},${to.y}`} />;
          })}
        </svg>
        {dag.vertexInfoMap.map((vertex) => {
          const at = layout.node(String(vertex.vertexId));
          const own = figures[vertex.vertexId];
          return (
            <div key={vertex.vertexId} className={`node ${vertex.type}`} style={{ left: at.x! - WIDTH / 2, top: at.y! - height / 2, width: WIDTH, height }}>
              <div className="kind">{vertex.type}</div>
              <div className="name" title={vertexName(vertex.vertexName)}>
                {vertexName(vertex.vertexName)}
              </div>
              {vertex.tablePaths.length > 0 && (
                <div className="line">
                  <span>{vertex.tablePaths.length === 1 ? vertex.tablePaths[0] : `${vertex.tablePaths.length} tables`}</span>
                </div>
              )}
              {own?.lines.map(([name, value]) => (
                <div className="line" key={name}>
                  <span>{name}</span>
                  <span>{value}</span>
                </div>
              ))}
              {own?.busy !== undefined && (
                <div className="busy" role="img" aria-label={`busy ${percent(own.busy)}`}>
                  <i style={{ width: `${own.busy * 100}%` }} />
                </div>
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}
