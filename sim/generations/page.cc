// The page of a comparison: the table, and each run as lanes of time. No network, no library.
#include <string>

namespace seawall::sim {
namespace {

constexpr const char* head = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Generations compared</title>
<style>
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1180px;
color:#1c2530;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.1em;margin:2em 0 .3em}p{max-width:52em}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2em .6em;border-bottom:1px
solid #e3e7ec;white-space:nowrap}th{color:#5b6776;font-weight:600}tr{cursor:pointer}
tr:hover{background:#f3f6fa}.bad{color:#b3261e;font-weight:700}.ok{color:#1b7f4b}
.num{text-align:right;font-variant-numeric:tabular-nums}
.run{margin:.4em 0 1em}.run h3{font-size:1em;margin:.6em 0 .1em}svg{display:block;width:100%}
text{font:11px system-ui,sans-serif;fill:#37424f}.key span{display:inline-block;margin-right:1.2em}
.key i{display:inline-block;width:1em;height:1em;margin-right:.35em;vertical-align:-.15em}
</style></head><body>
<h1>Generations compared</h1>
<p>One simulator, one core, five decisions. Every row is a run of a whole cluster: lanes are
replicas, colours what their primary makes of them; the line in a lane is how far its log is
behind the longest one, and the bars at the bottom are completed requests. Ticks are what happened:
hover them.</p>
<p class="key" id="key"></p>
<table id="table"></table><div id="runs"></div>
<script>
const cells = )html";

constexpr const char* tail = R"html(;
const colours={P:'#2b5fb3',p:'#8fb0e0',s:'#8ccfa5',c:'#f2c14e',b:'#e07b39',w:'#b58ad6',
'-':'#3b3f45','.':'#d7dce2'};
const names={P:'primary',p:'being promoted',s:'in sync',c:'catching up',b:'being rebuilt',
w:'rewinding','-':'down','.':'no session'};
const el=(n,a,t)=>{const e=document.createElementNS('http://www.w3.org/2000/svg',n);
for(const k in a)e.setAttribute(k,a[k]);if(t!==undefined)e.textContent=t;return e};
document.getElementById('key').innerHTML=Object.keys(names).map(k=>
`<span><i style="background:${colours[k]}"></i>${names[k]}</span>`).join('');
const mark=(v,y,n)=>v?`<span class="ok">${y}</span>`:`<span class="bad">${n}</span>`;
document.getElementById('table').innerHTML='<tr><th>row<th>scenario<th>generation'+
'<th>completed data<th>uncommitted data<th>recovery<th>ways<th>manner<th>bytes'+
'<th>in sync after<th>longest wait</tr>'+
cells.map((c,i)=>`<tr onclick="document.getElementById('r${i}').scrollIntoView()"><td>${c.id}<td>${
c.title}<td>${c.generation}<td>${mark(c.safe,'safe','LOST')}<td>${mark(c.kept_out,
'kept out','shown')}<td>${mark(c.completed,'completed','stalled')}<td>${
c.ways}<td>${c.manner}<td class="num">${
Math.round(c.bytes/1024)} KiB<td class="num">${c.completed?c.to_in_sync_ms+' ms':'-'
}<td class="num">${c.longest_wait_ms} ms</tr>`).join('');
const laneH=34,left=56,W=1120;
function draw(c,box){
  const s=c.samples;if(!s.length)return;
  const nodes=(s[0].length-2)/3,t0=s[0][0],t1=s[s.length-1][0]||t0+1;
  const x=t=>left+(t-t0)/(t1-t0)*(W-left-8);
  const H=nodes*laneH+64,svg=el('svg',{viewBox:`0 0 ${W} ${H}`});
  const top=n=>18+n*laneH;
  let lagMax=1;for(const r of s){let m=0;for(let n=0;n<nodes;n++)m=Math.max(m,r[3+n*3]);
    for(let n=0;n<nodes;n++)if(r[2+n*3]!='-')lagMax=Math.max(lagMax,m-r[3+n*3])}
  for(let n=0;n<nodes;n++){
    svg.append(el('text',{x:4,y:top(n)+18},'replica '+(n+1)));
    let from=0;
    for(let i=1;i<=s.length;i++)if(i==s.length||s[i][2+n*3]!=s[from][2+n*3]){
      const end=i<s.length?s[i][0]:t1,st=s[from][2+n*3];
      const r=el('rect',{x:x(s[from][0]),y:top(n),width:Math.max(.8,x(end)-x(s[from][0])),
        height:laneH-8,fill:colours[st]});
      r.append(el('title',{},`${names[st]} ${s[from][0]} .. ${end} ms`));svg.append(r);from=i}
    const lag=r=>{let m=0;for(let k=0;k<nodes;k++)m=Math.max(m,r[3+k*3]);return m-r[3+n*3]};
    const pts=s.filter(r=>r[2+n*3]!='-').map(r=>x(r[0]).toFixed(1)+','+
      (top(n)+lag(r)/lagMax*(laneH-10)+1).toFixed(1)).join(' ');
    svg.append(el('polyline',{points:pts,fill:'none',stroke:'#10151b','stroke-width':1.2}));
  }
  const base=top(nodes)+26;let most=1;for(const r of s)most=Math.max(most,r[1]);
  for(const r of s)if(r[1])svg.append(el('rect',{x:x(r[0]),y:base-22*r[1]/most,
    width:Math.max(.6,(W-left)/s.length*.8),height:22*r[1]/most,fill:'#7b8794'}));
  svg.append(el('text',{x:4,y:base-4},'requests'));
  for(const [t,n,text] of c.events){
    const y=n>0&&n<=nodes?top(n-1)-4:8,bad=text.startsWith('WRONG');
    const m=el('path',{d:`M${x(t)} ${y+8}l-4 -8h8z`,fill:bad?'#b3261e':'#37424f'});
    m.append(el('title',{},`${t} ms ${n?'n'+n+' ':''}${text}`));svg.append(m);
    if(bad)svg.append(el('text',{x:Math.min(x(t)+6,W-330),y:10,fill:'#b3261e'},text.slice(0,60)))}
  const step=[100,250,500,1000,2500,5000,10000,20000].find(v=>(t1-t0)/v<14)||50000;
  for(let t=Math.ceil(t0/step)*step;t<=t1;t+=step)
    svg.append(el('text',{x:x(t),y:H-6,'text-anchor':'middle'},(t-t0)/1000+' s'));
  box.append(svg)}
let last='';cells.forEach((c,i)=>{const runs=document.getElementById('runs');
  if(c.id!=last){const h=document.createElement('h2');h.textContent=c.id+'  '+c.title;
    runs.append(h);last=c.id}
  const box=document.createElement('div');box.className='run';box.id='r'+i;
  const h=document.createElement('h3');h.innerHTML=`${c.generation}: ${
    mark(c.safe,'safe','LOST')}, ${mark(c.kept_out,'kept out','shown')}, ${
    mark(c.completed,'completed','stalled')}, ${c.ways}`;
  box.append(h);if(c.wrong){const p=document.createElement('p');p.className='bad';
    p.textContent=c.wrong.slice(0,220);box.append(p)}
  draw(c,box);runs.append(box)});
</script></body></html>
)html";

}  // namespace

std::string page_around(const std::string& cells_json) { return head + cells_json + tail; }

}  // namespace seawall::sim
